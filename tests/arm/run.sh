#!/bin/sh
# What `./backupkit test --arm` does: every test that qemu-user can run, on both ARMs. At the end it
# says of each how many ran, and why others did not.
set -eu
cd "$(dirname "$0")/../.."
root=$PWD/target/arm/java
java=$root/usr/lib/jvm/java-17-openjdk-arm64/bin/java
natives=target/classes/natives/linux_arm64
failed=0

# What GoogleTest has said of a machine's tests. What skips a whole program says so before the first.
sum_up() {
  awk -v machine="$1" '
    /^\[=+\] Running [0-9]+ tests? from/ { all += $3; rest = $3 }
    /^\[ RUN      \]/ { rest = 1 }
    /^\[       OK \]/ { ++well }
    /^\[  FAILED  \] .* ms\)$/ { ++ill }
    why { reasons[$0] += rest; why = 0 }
    /: Skipped$/ { why = 1 }
    END {
      printf "%s: %d tests passed, %d failed, %d were not run:\n", machine, well, ill, all - well - ill
      for (reason in reasons) printf "  %4d %s\n", reasons[reason], reason
    }' "$2"
}

cpp_tests() {
  machine=$1
  build=target/native/$machine-tests
  # Debug information would take a quarter of the compiler's time.
  cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo \
    -DCMAKE_CXX_FLAGS_RELWITHDEBINFO="-O2 -DNDEBUG" -DBACKUPKIT_WERROR=ON \
    -DBACKUPKIT_JNI_INCLUDE="$JAVA_HOME/include" -DCMAKE_TOOLCHAIN_FILE="$PWD/native/cmake/toolchain-$machine.cmake"
  cmake --build "$build"
  sh tests/arm/with_programs.sh "$machine" "$2" \
    ctest --test-dir "$build" --output-on-failure -j "$(nproc)" || failed=1
  sum_up "$machine" "$build/Testing/Temporary/LastTest.log" >"$build/summary"
}

# The Java ones on Debian's Java for 64-bit ARM, with what the C++ ones have been built from.
java_tests() {
  build=target/native/aarch64-tests
  sh tests/arm/java_root.sh "$root"
  if ! sh tests/arm/with_programs.sh aarch64 "$root" "$java" -version; then
    echo "Java: the kernel starts no programs of another machine" >target/arm/summary
    return
  fi
  mvn -B -q -Dexec.skip=true test-compile
  cmake --install "$build" --component jar --prefix "$natives" --strip
  # The second compiler costs the emulator more than it gives. The bench has programs of this
  # machine only.
  sh tests/arm/with_programs.sh aarch64 "$root" sh tests/maven.sh surefire:test -Djvm="$java" \
    -Dtest.jvm=-XX:TieredStopAtLevel=1 -Dnative.build="$PWD/$build" \
    -Dsurefire.excludes='**/BenchTest.java' || failed=1
  rm -rf "$natives"
  awk -F '[:,]' '/^Tests run/ { all += $2; ill += $4 + $6; skipped += $8 }
    END { printf "Java on aarch64: %d tests passed, %d failed, %d were not run\n",
          all - ill - skipped, ill, skipped }' target/surefire-reports/*.txt >target/arm/summary
}

cpp_tests aarch64 /usr/aarch64-linux-gnu
cpp_tests armhf /usr/arm-linux-gnueabihf
java_tests
cat target/native/aarch64-tests/summary target/native/armhf-tests/summary target/arm/summary
exit $failed
