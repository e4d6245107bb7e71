# What `cmake --install` and the packages have, by component:
#   service      backupd and what the system needs to run it
#   development  the C++ client for find_package(BackupKit), without what is above the client layer
#   command      `backupkit` with the jars, where BACKUPKIT_JAVA names their folder
#   jar          what Maven packs into the jar, flat; only where it is asked for by its name
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(BACKUPKIT_JAVA "" CACHE PATH "A folder with the jars and the completion of the command; empty: no command")

# One library instead of one for each layer: those are nobody else's business, nor are our flags.
add_library(backupkit_cpp STATIC)
foreach(layer client protocol io base)
  # What waits to be optimised when it is linked only our own compiler could link.
  set_target_properties(backupkit_${layer} PROPERTIES INTERPROCEDURAL_OPTIMIZATION OFF)
  target_sources(backupkit_cpp PRIVATE $<TARGET_OBJECTS:backupkit_${layer}>)
endforeach()
set_target_properties(backupkit_cpp PROPERTIES OUTPUT_NAME backupkit EXPORT_NAME backupkit LINKER_LANGUAGE CXX)
target_compile_features(backupkit_cpp PUBLIC cxx_std_23)
target_include_directories(backupkit_cpp INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)

install(TARGETS backupd RUNTIME DESTINATION . COMPONENT jar EXCLUDE_FROM_ALL)
install(TARGETS backupd RUNTIME DESTINATION ${CMAKE_INSTALL_SBINDIR} COMPONENT service)
if(TARGET backupkit)
  install(TARGETS backupkit LIBRARY DESTINATION . COMPONENT jar EXCLUDE_FROM_ALL)
endif()

set(config ${CMAKE_INSTALL_LIBDIR}/cmake/BackupKit)
install(TARGETS backupkit_cpp EXPORT BackupKit ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
                                               COMPONENT development)
install(DIRECTORY include/backupkit DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development)
install(EXPORT BackupKit NAMESPACE BackupKit:: FILE BackupKitConfig.cmake DESTINATION ${config}
        COMPONENT development)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/BackupKitConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/BackupKitConfigVersion.cmake DESTINATION ${config}
        COMPONENT development)

# Installs native/package/NAME below `destination` as the name `as`: with its variables filled in if
# NAME ends in .in, compressed if `as` ends in .gz.
function(backupkit_file component name destination as)
  set(source ${PROJECT_SOURCE_DIR}/native/package/${name})
  if(name MATCHES "^(.*)\\.in$")
    configure_file(${source} ${PROJECT_BINARY_DIR}/package/${CMAKE_MATCH_1} @ONLY)
    set(source ${PROJECT_BINARY_DIR}/package/${CMAKE_MATCH_1})
  endif()
  if(as MATCHES "\\.gz$")
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${source})
    execute_process(COMMAND gzip -9nc ${source} OUTPUT_FILE ${PROJECT_BINARY_DIR}/package/${as}
                    COMMAND_ERROR_IS_FATAL ANY)
    set(source ${PROJECT_BINARY_DIR}/package/${as})
  endif()
  install(FILES ${source} DESTINATION ${destination} RENAME ${as} COMPONENT ${component})
endfunction()

include(${CMAKE_CURRENT_LIST_DIR}/package.cmake)
file(READ ${CMAKE_CURRENT_LIST_DIR}/hardening.conf HARDENING)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/hardening.conf)
set(completions ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
backupkit_file(service backupkit.service.in lib/systemd/system backupkit.service)
backupkit_file(service backupkit-recover.service.in lib/systemd/system backupkit-recover.service)
backupkit_file(service backupkit.socket lib/systemd/system backupkit.socket)
backupkit_file(service backupkit.tmpfiles lib/tmpfiles.d backupkit.conf)
backupkit_file(service backupd.8 ${CMAKE_INSTALL_MANDIR}/man8 backupd.8.gz)
backupkit_file(service backupd.bash ${completions} backupd)
backupkit_file(service copyright ${CMAKE_INSTALL_DATADIR}/doc/backupkit copyright)
backupkit_file(service changelog.in ${CMAKE_INSTALL_DATADIR}/doc/backupkit changelog.gz)
if(BACKUPKIT_JAVA)
  set(library ${CMAKE_INSTALL_LIBDIR}/backupkit)
  install(TARGETS backupkit LIBRARY DESTINATION ${library} COMPONENT command)
  install(DIRECTORY ${BACKUPKIT_JAVA}/ DESTINATION ${CMAKE_INSTALL_DATADIR}/backupkit COMPONENT command
          FILES_MATCHING PATTERN *.jar)
  install(FILES ${BACKUPKIT_JAVA}/backupkit.bash DESTINATION ${completions} RENAME backupkit COMPONENT command)
  configure_file(${CMAKE_CURRENT_LIST_DIR}/backupkit.sh.in ${PROJECT_BINARY_DIR}/package/backupkit @ONLY)
  install(PROGRAMS ${PROJECT_BINARY_DIR}/package/backupkit DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT command)
  backupkit_file(command backupkit.1 ${CMAKE_INSTALL_MANDIR}/man1 backupkit.1.gz)
endif()
