// Files beyond 2 GiB and times beyond 2038 on 32-bit machines too: _FILE_OFFSET_BITS and _TIME_BITS
// have asked for them.
#include <sys/types.h>

#include <cstdint>
#include <ctime>

static_assert(sizeof(off_t) == sizeof(int64_t));
static_assert(sizeof(time_t) == sizeof(int64_t));
