// The native that does nothing: the least that a call from Java can cost.

#include <jni.h>

extern "C" JNIEXPORT jint JNICALL Java_org_backupkit_internal_BridgeBench_empty(JNIEnv*, jclass) {
  return 0;
}
