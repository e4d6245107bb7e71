# Debian's cross compiler for 32-bit ARM with hardware floating point. For other kits see
# toolchain-aarch64.cmake; Android's 32-bit time_t ends in 2038, and base/wide_types.cc refuses it.
set(CMAKE_SYSTEM_PROCESSOR arm)
set(BACKUPKIT_TRIPLET arm-linux-gnueabihf)
set(BACKUPKIT_EMULATOR qemu-arm)
include(${CMAKE_CURRENT_LIST_DIR}/cross.cmake)
