#!/bin/sh
# build.sh [PHASE]: puts the jars and a .deb for each architecture into target/packages, the same
# bytes wherever and whenever. PHASE is Maven's: `install` puts the jars into the local repository, too.
set -eu
umask 022
cd "$(dirname "$0")/../.."
packages=$PWD/target/packages
java=$PWD/target/package/java # what the command is made of
timestamp=$(sed -n 's|.*<project.build.outputTimestamp>\(.*\)</.*|\1|p' pom.xml)
SOURCE_DATE_EPOCH=$(date -d "$timestamp" +%s)
export SOURCE_DATE_EPOCH

# Of an earlier build nothing but the native one's is taken up: classes would differ in what they say
# of the JDK's version, and Javadoc be out of date.
rm -rf "$packages" "$java" target/classes target/maven-* target/reports
mkdir -p "$packages" "$java"
rm -f target/*.jar target/backupkit.stamp # the launcher's: what it runs was among those
mvn -B -q -Pcross,release "${1:-package}" org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
  -DincludeScope=runtime -DoutputDirectory="$java" -Dnative.tests=OFF -Dmaven.test.skip=true -DskipTests
cp target/*.jar "$packages"
cp target/backupkit-*-java.jar "$java/backupkit.jar"
"${JAVA_HOME:+$JAVA_HOME/bin/}java" -cp "$java/*" picocli.AutoComplete -n backupkit \
  -o "$java/completion" org.backupkit.cli.Main
sed '1{/^#!/d}' "$java/completion" >"$java/backupkit.bash" # it is no program

for build in build arm64 arm; do
  cmake -S . -B "target/native/$build" -DCMAKE_INSTALL_PREFIX=/usr -DBACKUPKIT_JAVA="$java" >/dev/null
  cmake --build "target/native/$build" --target backupd backupkit backupkit_cpp >/dev/null
  cpack --config "target/native/$build/CPackConfig.cmake" -B "target/native/$build" >/dev/null
  cp "target/native/$build"/backupkit_*.deb "$packages"
  rm "target/native/$build"/backupkit_*.deb
done
ls "$packages"
