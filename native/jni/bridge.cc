// The natives of org.backupkit.internal.Bridge, in its order.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "backupkit/client.h"
#include "native/base/bytes.h"
#include "native/base/hash.h"
#include "native/base/syscall.h"
#include "native/io/copy.h"
#include "native/io/sparse_copy.h"
#include "native/io/tmpfile.h"
#include "native/jni/entry.h"

namespace backupkit {
namespace {

constexpr jint kVersion = 4;
constexpr size_t kMaxWhole = 256U << 20;  // what readAll puts into one array

jint version(Env&) { return kVersion; }

jlong connect(Env& env, jbyteArray socket) {
  return make_handle(env.value(Client::connect(env.path(socket))));
}

jlong embed(Env& env, jbyteArray backupd, jbyteArray root) {
  return make_handle(env.value(Client::embed(env.path(backupd), env.path(root))));
}

void shut_down(Env&, jlong client) { handle_ref<Client>(client).shut_down(); }

void destroy(Env&, jlong client) { drop_handle<Client>(client); }

jint service_pid(Env&, jlong client) { return handle_ref<Client>(client).service_pid(); }

// `patience`: milliseconds; negative: as long as it takes.
jbyteArray await_events(Env& env, jlong client, jint patience) {
  std::optional<std::chrono::milliseconds> limit;
  if (patience >= 0) limit = std::chrono::milliseconds(patience);
  auto batch = env.value(handle_ref<Client>(client).await(limit));
  if (!batch) return nullptr;
  ByteWriter writer;
  writer.put(static_cast<uint32_t>(batch->fds.size()));
  for (const auto& fd : batch->fds) writer.put(static_cast<int32_t>(fd.get()));
  writer.put_bytes(batch->frames);
  const jbyteArray array = env.array(writer.bytes());
  for (auto& fd : batch->fds) (void)fd.release();  // Java's from here on
  return array;
}

void request_capabilities(Env& env, jlong client, jint request, jboolean measured,
                          jbyteArray times) {
  env.value(handle_ref<Client>(client).capabilities(static_cast<uint32_t>(request),
                                                    measured != JNI_FALSE, env.bytes(times)));
}

void request_version(Env& env, jlong client, jint request) {
  env.value(handle_ref<Client>(client).version(static_cast<uint32_t>(request)));
}

void request_metrics(Env& env, jlong client, jint request) {
  env.value(handle_ref<Client>(client).metrics(static_cast<uint32_t>(request)));
}

void app_call(Env& env, jlong client, jint request, jint call, jstring bundle,
              jbyteArray argument) {
  env.value(handle_ref<Client>(client).app_call(static_cast<uint32_t>(request),
                                                static_cast<uint8_t>(call), env.text(bundle),
                                                env.bytes(argument)));
}

void data_size(Env& env, jlong client, jint request, jboolean precise, jbyteArray times) {
  env.value(handle_ref<Client>(client).data_size(static_cast<uint32_t>(request),
                                                 precise != JNI_FALSE, env.bytes(times)));
}

void open_session(Env& env, jlong client, jint request, jint kind) {
  env.value(handle_ref<Client>(client).open_session(static_cast<uint32_t>(request),
                                                    static_cast<uint8_t>(kind)));
}

// `manifests`: their descriptors, each an i32.
void append(Env& env, jlong client, jint request, jboolean more, jbyteArray list, jint capabilities,
            jbyteArray manifests) {
  const auto bytes = env.bytes(list);
  const auto numbers = env.bytes(manifests);
  std::vector<BorrowedFd> fds;
  for (ByteReader reader(numbers); reader.left() >= sizeof(int32_t);) {
    fds.emplace_back(reader.get<int32_t>());
  }
  env.value(handle_ref<Client>(client).append(static_cast<uint32_t>(request), more != JNI_FALSE,
                                              bytes, BorrowedFd(capabilities), fds));
}

void file_handle(Env& env, jlong client, jint request, jstring bundle, jstring uri) {
  env.value(handle_ref<Client>(client).file_handle(static_cast<uint32_t>(request), env.text(bundle),
                                                   env.text(uri)));
}

void publish(Env& env, jlong client, jint request, jstring bundle, jstring uri, jint content) {
  env.value(handle_ref<Client>(client).publish(static_cast<uint32_t>(request), env.text(bundle),
                                               env.text(uri), BorrowedFd(content)));
}

void update_timer(Env& env, jlong client, jint request, jstring bundle, jint milliseconds) {
  env.value(handle_ref<Client>(client).update_timer(static_cast<uint32_t>(request),
                                                    env.text(bundle), milliseconds));
}

void update_rate(Env& env, jlong client, jint request, jstring bundle, jint files_per_second) {
  env.value(handle_ref<Client>(client).update_rate(static_cast<uint32_t>(request), env.text(bundle),
                                                   files_per_second));
}

void cancel(Env& env, jlong client, jint request, jstring bundle) {
  env.value(handle_ref<Client>(client).cancel(static_cast<uint32_t>(request), env.text(bundle)));
}

void release(Env& env, jlong client, jint request) {
  env.value(handle_ref<Client>(client).release(static_cast<uint32_t>(request)));
}

// `settled`: an i64 sequence and an i8 outcome for each file.
void settle(Env& env, jlong client, jbyteArray settled) {
  const auto bytes = env.bytes(settled);
  std::vector<Settled> files;
  for (ByteReader reader(bytes); reader.left() > sizeof(uint64_t);) {
    Settled& file = files.emplace_back();
    file.sequence = reader.get<uint64_t>();
    file.outcome = reader.get<uint8_t>();
  }
  env.value(handle_ref<Client>(client).settle(files));
}

jint open_file(Env& env, jbyteArray path, jint flags, jint mode) {
  const auto name = env.path(path);
  UniqueFd file(
      retry([&] { return ::open(name.c_str(), flags | O_CLOEXEC, static_cast<mode_t>(mode)); }));
  if (!file.is_open()) throw JavaFailure{Error::from_errno(errno, "open of '" + name + "'")};
  return file.release();
}

void close_file(Env&, jint fd) { UniqueFd(fd).reset(); }

jint duplicate(Env& env, jint fd) {
  UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!copy.is_open()) env.value(Result<void>(errno_failure("duplicate of a descriptor")));
  return copy.release();
}

jlong size_of(Env& env, jint fd) {
  struct stat state{};
  if (::fstat(fd, &state) != 0) env.value(Result<void>(errno_failure("size of a descriptor")));
  return state.st_size;
}

jlong transfer(Env& env, jint in, jint out) {
  Copier copier;
  return static_cast<jlong>(env.value(copy_sparse(copier, BorrowedFd(in), BorrowedFd(out))));
}

jlong complete_file(Env& env, jint in, jint out) {
  Copier copier;
  return static_cast<jlong>(env.value(complete(BorrowedFd(in), BorrowedFd(out), copier)));
}

jboolean name_file(Env& env, jint fd, jbyteArray path) {
  return env.value(give_name(BorrowedFd(fd), env.path(path))) ? JNI_TRUE : JNI_FALSE;
}

jbyteArray read_all(Env& env, jint fd) {
  return env.array(env.value(read_file(BorrowedFd(fd), kMaxWhole)));
}

// Adds a range of a file to a hash.
Result<void> hash_range(BorrowedFd file, uint64_t offset, uint64_t length, Hasher& hasher) {
  Bytes buffer(static_cast<size_t>(std::min<uint64_t>(length, 1U << 20)));
  while (length > 0) {
    const auto want = static_cast<size_t>(std::min<uint64_t>(length, buffer.size()));
    const auto got = retry(
        [&] { return ::pread(file.get(), buffer.data(), want, static_cast<int64_t>(offset)); });
    if (got < 0) return errno_failure("read");
    if (got == 0) return failure(Code::kUnpackFailed, "the file is shorter than the range");
    hasher.update(std::span(buffer).first(static_cast<size_t>(got)));
    offset += static_cast<uint64_t>(got);
    length -= static_cast<uint64_t>(got);
  }
  return {};
}

// `pieces`: an i64 and an i64 for each, offset and length; an offset of -1 stands for zeros.
jbyteArray hash(Env& env, jint fd, jbyteArray pieces) {
  const auto numbers = env.bytes(pieces);
  Hasher hasher;
  for (ByteReader reader(numbers); reader.left() >= 2 * sizeof(int64_t);) {
    const auto offset = reader.get<int64_t>();
    const auto length = reader.get<int64_t>();
    if (offset < -1 || length < 0) {
      env.value(Result<void>(failure(Code::kInvalidArgument, "a range begins or ends before 0")));
    }
    const auto count = static_cast<uint64_t>(length);
    if (offset == -1) hasher.update_zeros(count);
    if (offset != -1) {
      env.value(hash_range(BorrowedFd(fd), static_cast<uint64_t>(offset), count, hasher));
    }
  }
  const auto text = hasher.finish();
  return env.array({text.begin(), text.end()});
}

jbyteArray hash_bytes(Env& env, jbyteArray bytes) {
  Hasher hasher;
  hasher.update(env.bytes(bytes));
  const auto text = hasher.finish();
  return env.array({text.begin(), text.end()});
}

void sync_file_system(Env& env, jint fd) {
  if (::syncfs(fd) != 0) env.value(Result<void>(errno_failure("sync of a file system")));
}

void begin_write_out(Env&, jint fd) {
  // What cannot be written is told by the sync, as what can be written only then.
  (void)::sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}

void bind(Env& env, jobject descriptor, jint fd) { env.set_number(descriptor, fd); }

const std::array kNatives{
    native<&version>("version"),
    native<&connect>("connect"),
    native<&embed>("embed"),
    native<&shut_down>("shutdown"),
    native<&destroy>("destroy"),
    native<&service_pid>("servicePid"),
    native<&await_events>("awaitEvents"),
    native<&request_capabilities>("requestCapabilities"),
    native<&request_version>("requestVersion"),
    native<&request_metrics>("requestMetrics"),
    native<&app_call>("appCall"),
    native<&data_size>("dataSize"),
    native<&open_session>("openSession"),
    native<&append>("append"),
    native<&file_handle>("fileHandle"),
    native<&publish>("publish"),
    native<&update_timer>("updateTimer"),
    native<&update_rate>("updateRate"),
    native<&cancel>("cancel"),
    native<&release>("release"),
    native<&settle>("settle"),
    native<&open_file>("open"),
    native<&close_file>("close"),
    native<&duplicate>("duplicate"),
    native<&size_of>("size"),
    native<&transfer>("transfer"),
    native<&complete_file>("complete"),
    native<&name_file>("giveName"),
    native<&read_all>("readAll"),
    native<&hash>("hash"),
    native<&hash_bytes>("hashBytes"),
    native<&sync_file_system>("syncFileSystem"),
    native<&begin_write_out>("beginWriteOut"),
    native<&bind>("bind"),
};

jint load(JavaVM* vm) {
  void* raw = nullptr;
  if (vm->GetEnv(&raw, JNI_VERSION_1_8) != JNI_OK) return JNI_ERR;
  auto* jni = static_cast<JNIEnv*>(raw);
  const jclass bridge = jni->FindClass("org/backupkit/internal/Bridge");
  if (bridge == nullptr || !Env::load(jni, bridge)) return JNI_ERR;
  const jint registered =
      jni->RegisterNatives(bridge, kNatives.data(), static_cast<jint>(kNatives.size()));
  jni->DeleteLocalRef(bridge);
  return registered == JNI_OK ? JNI_VERSION_1_8 : JNI_ERR;
}

}  // namespace
}  // namespace backupkit

extern "C" JNIEXPORT jint JNICALL JNI_OnLoad(JavaVM* vm, void* /*reserved*/) {
  return backupkit::load(vm);
}
