#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "native/jni/entry.h"

namespace backupkit {
namespace {

// Looked up once at load. No reference to a class: one would keep the class loader, and us, for
// ever.
struct Ids {
  jmethodID failure = nullptr;
  jfieldID number = nullptr;
};
Ids ids;

}  // namespace

bool Env::load(JNIEnv* jni, jclass bridge) {
  ids.failure = jni->GetStaticMethodID(bridge, "failure",
                                       "(IILjava/lang/String;)Lorg/backupkit/BackupException;");
  if (ids.failure == nullptr) return false;
  const jclass descriptor = jni->FindClass("java/io/FileDescriptor");
  if (descriptor == nullptr) return false;
  ids.number = jni->GetFieldID(descriptor, "fd", "I");
  jni->DeleteLocalRef(descriptor);
  return ids.number != nullptr;
}

std::string Env::text(jstring text) const {
  if (text == nullptr) throw JavaFailure{{Code::kInvalidArgument, 0, "a text is null"}};
  const char* chars = jni_->GetStringUTFChars(text, nullptr);
  if (chars == nullptr) throw JavaPending{};
  std::string copy(chars);
  jni_->ReleaseStringUTFChars(text, chars);
  return copy;
}

std::vector<uint8_t> Env::bytes(jbyteArray array) const {
  if (array == nullptr) throw JavaFailure{{Code::kInvalidArgument, 0, "a byte array is null"}};
  std::vector<uint8_t> copy(static_cast<size_t>(jni_->GetArrayLength(array)));
  jni_->GetByteArrayRegion(array, 0, static_cast<jsize>(copy.size()),
                           reinterpret_cast<jbyte*>(copy.data()));
  if (jni_->ExceptionCheck() != JNI_FALSE) throw JavaPending{};
  return copy;
}

std::string Env::path(jbyteArray array) const {
  const auto raw = bytes(array);
  return {raw.begin(), raw.end()};
}

jbyteArray Env::array(const std::vector<uint8_t>& bytes) const {
  const auto size = static_cast<jsize>(bytes.size());
  const jbyteArray made = jni_->NewByteArray(size);
  if (made == nullptr) throw JavaPending{};
  jni_->SetByteArrayRegion(made, 0, size, reinterpret_cast<const jbyte*>(bytes.data()));
  if (jni_->ExceptionCheck() != JNI_FALSE) throw JavaPending{};
  return made;
}

void Env::raise(const Error& error) const {
  if (jni_->ExceptionCheck() != JNI_FALSE) return;
  // Java's own form of UTF-8 allows no malformed bytes, and a path may have any.
  std::string message = error.message();
  for (char& c : message) {
    if (static_cast<unsigned char>(c) >= 0x80) c = '?';
  }
  const jstring text = jni_->NewStringUTF(message.c_str());
  if (text == nullptr) return;
  const jobject made =
      jni_->CallStaticObjectMethod(bridge_, ids.failure, static_cast<jint>(error.code),
                                   static_cast<jint>(error.sys_errno), text);
  if (made == nullptr || jni_->ExceptionCheck() != JNI_FALSE) return;
  (void)jni_->Throw(static_cast<jthrowable>(made));
}

void Env::set_number(jobject descriptor, jint number) const {
  jni_->SetIntField(descriptor, ids.number, number);
}

}  // namespace backupkit
