// The border to Java: registration by type, and the only try/catch.
//
// A native is a plain C++ function of (Env&, arguments). native<&function>("name") makes its table
// row: the descriptor follows from the C++ types, and the trampoline turns an Error that was thrown
// by Env::value, and std::bad_alloc, into a Java exception. Natives take and give numbers,
// booleans, texts and byte arrays only. The one exception is bind(): the number inside a
// java.io.FileDescriptor has no other way in.
#pragma once

#include <jni.h>

#include <array>
#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "backupkit/error.h"

namespace backupkit {

// Thrown to leave a native once its exception is pending in Java, or to bring one there.
struct JavaPending {};
struct JavaFailure {
  Error error;
};

// One call's JNIEnv and its class. Lives on the stack of the trampoline.
class Env {
 public:
  Env(JNIEnv* jni, jclass bridge) : jni_(jni), bridge_(bridge) {}

  [[nodiscard]] JNIEnv* jni() const { return jni_; }

  // The value of a result; its failure becomes the call's exception.
  template <typename T>
  [[nodiscard]] T value(Result<T> result) const {
    if (!result) throw JavaFailure{std::move(result.error())};
    if constexpr (!std::is_void_v<T>) return std::move(*result);
  }

  [[nodiscard]] std::string text(jstring text) const;
  [[nodiscard]] std::vector<uint8_t> bytes(jbyteArray array) const;
  [[nodiscard]] std::string path(jbyteArray array) const;
  [[nodiscard]] jbyteArray array(const std::vector<uint8_t>& bytes) const;

  // Makes `error` the pending exception: Bridge.failure gives it.
  void raise(const Error& error) const;

  // Looks up what raise() and bind() need. False, with an exception pending: not found.
  [[nodiscard]] static bool load(JNIEnv* jni, jclass bridge);

  // Sets the number inside a java.io.FileDescriptor.
  void set_number(jobject descriptor, jint number) const;

 private:
  JNIEnv* jni_;
  jclass bridge_;
};

// A heap object as a long: make gives it to Java, handle_ref borrows, drop_handle ends it.
template <typename T>
jlong make_handle(std::unique_ptr<T> object) {
  return static_cast<jlong>(reinterpret_cast<intptr_t>(object.release()));
}

template <typename T>
T& handle_ref(jlong handle) {
  // NOLINTNEXTLINE(performance-no-int-to-ptr): it was one, a long is how Java keeps it
  return *reinterpret_cast<T*>(static_cast<intptr_t>(handle));
}

template <typename T>
void drop_handle(jlong handle) {
  const std::unique_ptr<T> ended(&handle_ref<T>(handle));
}

namespace entry {

template <size_t N>
struct Text {
  std::array<char, N + 1> chars{};
};

template <size_t N>
consteval Text<N - 1> literal(const char (&text)[N]) {
  Text<N - 1> made;
  for (size_t i = 0; i < N; ++i) made.chars[i] = text[i];
  return made;
}

template <size_t A, size_t B>
consteval Text<A + B> operator+(const Text<A>& a, const Text<B>& b) {
  Text<A + B> made;
  for (size_t i = 0; i < A; ++i) made.chars[i] = a.chars[i];
  for (size_t i = 0; i < B; ++i) made.chars[A + i] = b.chars[i];
  return made;
}

template <typename T>
consteval auto descriptor() {
  if constexpr (std::is_same_v<T, void>) return literal("V");
  if constexpr (std::is_same_v<T, jint>) return literal("I");
  if constexpr (std::is_same_v<T, jlong>) return literal("J");
  if constexpr (std::is_same_v<T, jboolean>) return literal("Z");
  if constexpr (std::is_same_v<T, jstring>) return literal("Ljava/lang/String;");
  if constexpr (std::is_same_v<T, jbyteArray>) return literal("[B");
  if constexpr (std::is_same_v<T, jobject>) return literal("Ljava/io/FileDescriptor;");
}

template <auto Function>
struct Trampoline;

template <typename R, typename... Args, R (*Function)(Env&, Args...)>
struct Trampoline<Function> {
  static constexpr auto kDescriptor =
      (literal("(") + ... + descriptor<Args>()) + literal(")") + descriptor<R>();

  static R call(JNIEnv* jni, jclass bridge, Args... arguments) {
    Env env(jni, bridge);
    try {
      return Function(env, arguments...);
    } catch (const JavaFailure& failure) {
      env.raise(failure.error);
    } catch (const JavaPending&) {
      return R();  // Java has it already
    } catch (const std::bad_alloc&) {
      env.raise({Code::kOutOfMemory, 0, "no memory in native code"});
    }
    return R();
  }
};

}  // namespace entry

template <auto Function>
JNINativeMethod native(const char* name) {
  using Entry = entry::Trampoline<Function>;
  // JNI's struct predates const; nothing is written through these.
  return {const_cast<char*>(name), const_cast<char*>(Entry::kDescriptor.chars.data()),
          reinterpret_cast<void*>(&Entry::call)};
}

}  // namespace backupkit
