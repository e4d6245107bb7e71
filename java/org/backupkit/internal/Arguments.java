package org.backupkit.internal;

import java.util.regex.Pattern;
import org.backupkit.BackupException;
import org.backupkit.ErrorCode;
import org.jspecify.annotations.Nullable;

/** Checks of what callers pass in. Each throws 13900020 with what is wrong. */
public final class Arguments {
  private static final Pattern BUNDLE_NAME =
      Pattern.compile("(?!\\.)[A-Za-z0-9._-]{1,127}(:[0-9]{1,9})?");
  private static final Pattern URI = Pattern.compile("[0-9A-Za-z_.]{0,255}");

  private Arguments() {}

  /**
   * Requires a value.
   *
   * @param <T> its type
   * @param value the value
   * @param what its name
   * @return the value
   * @throws BackupException if it is null
   */
  public static <T> T present(@Nullable T value, String what) throws BackupException {
    if (value == null) {
      throw invalid(what + " is null");
    }
    return value;
  }

  /**
   * Requires {@code [A-Za-z0-9._-]{1,127}} that begins with no dot, optionally {@code :} and a
   * clone index.
   *
   * @param name the name
   * @return the name
   * @throws BackupException if it is anything else
   */
  public static String bundleName(@Nullable String name) throws BackupException {
    if (!BUNDLE_NAME.matcher(present(name, "a bundle name")).matches()) {
      throw invalid("not a bundle name: \"" + name + "\"");
    }
    return name;
  }

  /**
   * Requires {@code [0-9A-Za-z_.]{0,255}} other than {@code .} and {@code ..}.
   *
   * @param uri the file's name
   * @return the name
   * @throws BackupException if it is anything else
   */
  public static String uri(@Nullable String uri) throws BackupException {
    String name = present(uri, "a uri");
    if (!URI.matcher(name).matches() || name.equals(".") || name.equals("..")) {
      throw invalid("not a uri: \"" + name + "\"");
    }
    return name;
  }

  /**
   * Requires a bundle name where a wrong parameter is a 401.
   *
   * @param name the name
   * @return the name
   * @throws BackupException 401 if it is none
   */
  public static String namedBundle(@Nullable String name) throws BackupException {
    if (name == null || !BUNDLE_NAME.matcher(name).matches()) {
      throw parameter(
          name == null ? "a bundle name is null" : "not a bundle name: \"" + name + '"');
    }
    return name;
  }

  /**
   * Requires a number that is neither negative nor larger than a limit.
   *
   * @param value the number
   * @param most the limit
   * @param what its name
   * @return the number
   * @throws BackupException 401 if it is outside
   */
  public static int withinRange(int value, int most, String what) throws BackupException {
    if (value < 0 || value > most) {
      throw parameter(what + " is " + value + ", not 0 to " + most);
    }
    return value;
  }

  /**
   * Makes the failure of a parameter's check.
   *
   * @param what what is wrong
   * @return 401
   */
  public static BackupException parameter(String what) {
    return new BackupException(ErrorCode.PARAMETER, ErrorCode.PARAMETER.message() + ": " + what);
  }

  /**
   * Makes the failure of a check.
   *
   * @param what what is wrong
   * @return 13900020
   */
  public static BackupException invalid(String what) {
    return new BackupException(
        ErrorCode.INVALID_ARGUMENT, ErrorCode.INVALID_ARGUMENT.message() + ": " + what);
  }
}
