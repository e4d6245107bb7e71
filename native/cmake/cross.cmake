# What the toolchains share. Headers that suit every machine come from the host.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_C_COMPILER ${BACKUPKIT_TRIPLET}-gcc CACHE FILEPATH "")  # GoogleTest's build asks for one
set(CMAKE_CXX_COMPILER ${BACKUPKIT_TRIPLET}-g++ CACHE FILEPATH "")
set(CMAKE_FIND_ROOT_PATH /usr/${BACKUPKIT_TRIPLET})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)

# Without it the tests run where the kernel knows the machine's programs.
find_program(BACKUPKIT_EMULATOR_PATH ${BACKUPKIT_EMULATOR})
if(BACKUPKIT_EMULATOR_PATH)
  set(CMAKE_CROSSCOMPILING_EMULATOR ${BACKUPKIT_EMULATOR_PATH} -L /usr/${BACKUPKIT_TRIPLET})
endif()
