package org.backupkit.interop;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.backupkit.BackupService;
import org.backupkit.Device;
import org.backupkit.FileData;
import org.backupkit.Journal.Kind;
import org.backupkit.Journal.Note;
import org.backupkit.Restoring;
import org.backupkit.SessionRestore;

/** A backup of one part that somebody else made, for which neither a hash nor a count vouches. */
final class ForeignBackup {
  private final Path directory;

  ForeignBackup(Path directory) throws IOException {
    this.directory = Files.createDirectories(directory);
  }

  /** Where to put the archive. */
  Path part() {
    return directory.resolve("part.0.tar");
  }

  /** Restores a bundle from it; gives how that ended. */
  Note restore(Device device, String bundle) throws Exception {
    Files.writeString(
        directory.resolve("manage.json"),
        """
        [{"fileName": "part.0.tar", "isUserTar": false, "isBigFile": false,
          "information": {"path": "part.0.tar", "stat": {
            "st_size": %d, "st_mode": 33152, "st_atim": {"tv_sec": 0, "tv_nsec": 0},
            "st_mtim": {"tv_sec": 0, "tv_nsec": 0}}}}]
        """
            .formatted(Files.size(part())));
    Restoring restoring = new Restoring(directory, bundle);
    try (BackupService service = BackupService.embedded(device.root());
        FileData capabilities = service.getLocalCapabilities().get();
        SessionRestore session = new SessionRestore(service, restoring)) {
      restoring.run(session, capabilities.fd(), List.of("{}"));
      return restoring.await(Kind.END, bundle);
    }
  }
}
