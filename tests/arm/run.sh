#!/bin/sh
# What `./backupkit test --arm` does: every test that qemu-user can run, on both ARMs. At the end it
# says of each how many ran, and why others did not.
set -eu
cd "$(dirname "$0")/../.."
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
    -DCMAKE_TOOLCHAIN_FILE="$PWD/native/cmake/toolchain-$machine.cmake"
  cmake --build "$build"
  sh tests/arm/with_programs.sh "$machine" "$2" \
    ctest --test-dir "$build" --output-on-failure -j "$(nproc)" || failed=1
  sum_up "$machine" "$build/Testing/Temporary/LastTest.log" >"$build/summary"
}

cpp_tests aarch64 /usr/aarch64-linux-gnu
cpp_tests armhf /usr/arm-linux-gnueabihf
cat target/native/aarch64-tests/summary target/native/armhf-tests/summary
exit $failed
