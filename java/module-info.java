/** Backup and restore of the data of the apps on a device. */
@SuppressWarnings({"requires-automatic", "module"})
module org.backupkit {
  requires com.fasterxml.jackson.databind;
  requires info.picocli;
  requires static transitive org.jspecify;
  requires org.scijava.nativelib;

  exports org.backupkit;
  exports org.backupkit.extension;
  exports org.backupkit.store;

  opens org.backupkit.cli to
      info.picocli;
}
