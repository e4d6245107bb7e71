# Debian's cross compiler for 64-bit ARM. Clang of another kit goes by its own file:
#   Android:     -DCMAKE_TOOLCHAIN_FILE=$NDK/build/cmake/android.toolchain.cmake
#                -DANDROID_ABI=arm64-v8a -DANDROID_PLATFORM=android-34
#   OpenHarmony: -DCMAKE_TOOLCHAIN_FILE=$SDK/native/build/cmake/ohos.toolchain.cmake
#                -DOHOS_ARCH=arm64-v8a
# Both lack nlohmann-json and xxHash: copy these headers to a folder of their own and name it by
# -DCMAKE_CXX_FLAGS=-isystem<folder>.
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(BACKUPKIT_TRIPLET aarch64-linux-gnu)
set(BACKUPKIT_EMULATOR qemu-aarch64)
include(${CMAKE_CURRENT_LIST_DIR}/cross.cmake)
