/*
 * A disk that fails on command: preloaded into a process, it counts the calls that change files below one folder, strikes at one of them, and can
 * write down all of them in order, so that what a power cut would have left can be built afterwards.
 *
 *   control file (mapped, so that the test arms, disarms and reads it while the process runs, and after it was killed; 64-bit little endian)
 *     0  calls    which calls count: 1 write, 2 sync, 4 truncate; added up
 *     8  at       the one that is struck, from 1; 0: none
 *    16  how      1 fails once, 2 fails from then on, 3 killed before it, 4 killed after it, 5 half of it is written, then killed
 *    24  error    errno of a failure
 *    32  counted  calls that counted so far
 *    40  struck   how many were struck
 *    48  slow     microseconds that a sync takes longer than it would
 *    64  folder   it, what is below it, and what is beside it by the name of FOLDER-more or FOLDER.more (NUL-terminated, 448 bytes)
 *   512  below    what is written down, in the same way
 *  1024  trace    the file to write it to; empty: nothing is
 *
 *   trace record   u32 kind, u32 bytes of the path, u64 offset, u64 bytes of data, path, data
 *     kinds: 1 write, 2 sync, 3 truncate (offset: the new size), 4 unlink, 5 create, 6 rename (data: the new path)
 *
 * One lock around call and record: the order of the records is the order in which the kernel saw the calls.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { WRITE = 1, SYNC = 2, TRUNCATE = 4 };
enum { ONCE = 1, EVER = 2, BEFORE = 3, AFTER = 4, TORN = 5 };
enum { R_WRITE = 1, R_SYNC, R_TRUNCATE, R_UNLINK, R_CREATE, R_RENAME };

static volatile char *control;
static int trace = -1;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define FIELD(at) (*(volatile int64_t *)(control + (at)))
#define REAL(type, name) ((type)real(name))

static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }

__attribute__((constructor)) static void load(void) {
  const char *path = getenv("TROUPE_TEST_DISK");
  if (path == NULL) return;
  int fd = syscall(SYS_openat, AT_FDCWD, path, O_RDWR);
  if (fd < 0) _exit(99);
  control = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  syscall(SYS_close, fd);
  if (control == MAP_FAILED) _exit(99);
  if (control[1024] != 0) trace = syscall(SYS_openat, AT_FDCWD, (const char *)control + 1024, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static void die(void) {
  syscall(SYS_kill, syscall(SYS_getpid), SIGKILL);
  for (;;) pause();
}

static int is_below(const char *path, size_t folder_at) {
  const char *folder = (const char *)control + folder_at;
  size_t length = strlen(folder);
  return length > 0 && strncmp(path, folder, length) == 0 && (path[length] == 0 || strchr("/-.", path[length]) != NULL);
}

static int path_of(int fd, char *path) {
  char link[40] = "/proc/self/fd/", digits[12];
  int n = 0, at = 14;
  do digits[n++] = '0' + fd % 10; while ((fd /= 10) > 0);
  while (n > 0) link[at++] = digits[--n];
  ssize_t length = readlink(link, path, 1023);
  if (length < 0) return 0;
  path[length] = 0;
  return 1;
}

static void put(const void *bytes, size_t length) {
  for (const char *from = bytes; length > 0;) {
    ssize_t done = syscall(SYS_write, trace, from, length);
    if (done < 0) _exit(98);
    from += done, length -= done;
  }
}

static void record(uint32_t kind, const char *path, uint64_t offset, const void *data, uint64_t bytes) {
  if (trace < 0 || !is_below(path, 512)) return;
  uint32_t head[2] = {kind, strlen(path)};
  uint64_t range[2] = {offset, bytes};
  put(head, sizeof head), put(range, sizeof range), put(path, head[1]), put(data, bytes);
}

/* How this call is struck; 0: not at all. Counts it. */
static int strike(int call, const char *path) {
  if (!(FIELD(0) & call) || !is_below(path, 64)) return 0;
  int64_t now = ++FIELD(32), at = FIELD(8), how = FIELD(16);
  if (at == 0 || now < at || (how != EVER && now != at)) return 0;
  FIELD(40)++;
  if (how == BEFORE) die();
  return how;
}

static int fails(int how) {
  if (how != ONCE && how != EVER) return 0;
  errno = FIELD(24);
  return 1;
}

typedef ssize_t (*Write)(int, const void *, size_t);
typedef ssize_t (*Pwrite)(int, const void *, size_t, off_t);

/* `at` < 0: where the file stands, or at its end where it was opened for appending. */
static ssize_t put_down(int fd, const void *data, size_t bytes, off_t at) {
  char path[1024];
  Write plain = REAL(Write, "write");
  Pwrite placed = REAL(Pwrite, "pwrite64");
  if (control == NULL || !path_of(fd, path) || (!is_below(path, 64) && !is_below(path, 512)))
    return at < 0 ? plain(fd, data, bytes) : placed(fd, data, bytes, at);
  pthread_mutex_lock(&lock);
  off_t offset = at;
  struct stat found;
  if (at < 0) offset = (fcntl(fd, F_GETFL) & O_APPEND) && fstat(fd, &found) == 0 ? found.st_size : lseek(fd, 0, SEEK_CUR);
  int how = strike(WRITE, path);
  ssize_t done = -1;
  if (!fails(how)) {
    size_t part = how == TORN ? bytes / 2 : bytes;
    done = at < 0 ? plain(fd, data, part) : placed(fd, data, part, at);
    if (done > 0) record(R_WRITE, path, offset, data, done);
    if (how == AFTER || how == TORN) die();
  }
  int error = errno;
  pthread_mutex_unlock(&lock);
  errno = error;
  return done;
}

ssize_t write(int fd, const void *data, size_t bytes) { return put_down(fd, data, bytes, -1); }
ssize_t pwrite(int fd, const void *data, size_t bytes, off_t at) { return put_down(fd, data, bytes, at); }
ssize_t pwrite64(int fd, const void *data, size_t bytes, off_t at) { return put_down(fd, data, bytes, at); }

/* One after the other: a writer of several buffers sees a short write at worst. */
ssize_t writev(int fd, const struct iovec *parts, int count) {
  ssize_t all = 0;
  for (int n = 0; n < count; n++) {
    ssize_t done = put_down(fd, parts[n].iov_base, parts[n].iov_len, -1);
    if (done < 0) return all > 0 ? all : done;
    all += done;
    if ((size_t)done < parts[n].iov_len) break;
  }
  return all;
}

static int settle(const char *name, int fd) {
  int (*sync)(int) = REAL(int (*)(int), name);
  char path[1024];
  if (control == NULL || !path_of(fd, path) || (!is_below(path, 64) && !is_below(path, 512))) return sync(fd);
  pthread_mutex_lock(&lock);
  int how = strike(SYNC, path), done = -1;
  if (!fails(how)) {
    if (FIELD(48) > 0) usleep(FIELD(48));
    done = sync(fd);
    if (done == 0) record(R_SYNC, path, 0, "", 0);
    if (how == AFTER || how == TORN) die();
  }
  int error = errno;
  pthread_mutex_unlock(&lock);
  errno = error;
  return done;
}

int fsync(int fd) { return settle("fsync", fd); }
int fdatasync(int fd) { return settle("fdatasync", fd); }

static int cut(int fd, off_t size) {
  int (*truncate)(int, off_t) = REAL(int (*)(int, off_t), "ftruncate64");
  char path[1024];
  if (control == NULL || !path_of(fd, path) || (!is_below(path, 64) && !is_below(path, 512))) return truncate(fd, size);
  pthread_mutex_lock(&lock);
  int how = strike(TRUNCATE, path), done = -1;
  if (!fails(how)) {
    done = truncate(fd, size);
    if (done == 0) record(R_TRUNCATE, path, size, "", 0);
    if (how == AFTER || how == TORN) die();
  }
  int error = errno;
  pthread_mutex_unlock(&lock);
  errno = error;
  return done;
}

int ftruncate(int fd, off_t size) { return cut(fd, size); }
int ftruncate64(int fd, off_t size) { return cut(fd, size); }

int unlink(const char *path) {
  pthread_mutex_lock(&lock);
  int done = REAL(int (*)(const char *), "unlink")(path), error = errno;
  if (control != NULL && done == 0) record(R_UNLINK, path, 0, "", 0);
  pthread_mutex_unlock(&lock);
  errno = error;
  return done;
}

int rename(const char *from, const char *to) {
  pthread_mutex_lock(&lock);
  int done = REAL(int (*)(const char *, const char *), "rename")(from, to), error = errno;
  if (control != NULL && done == 0) record(R_RENAME, from, 0, to, strlen(to));
  pthread_mutex_unlock(&lock);
  errno = error;
  return done;
}

static int open_file(const char *path, int flags, mode_t mode) {
  int created = control != NULL && (flags & O_CREAT) && is_below(path, 512) && access(path, F_OK) != 0;
  pthread_mutex_lock(&lock);
  int fd = syscall(SYS_openat, AT_FDCWD, path, flags, mode), error = errno;
  if (fd >= 0 && created) record(R_CREATE, path, 0, "", 0);
  if (fd >= 0 && !created && control != NULL && (flags & O_TRUNC)) record(R_TRUNCATE, path, 0, "", 0);
  pthread_mutex_unlock(&lock);
  errno = error;
  return fd;
}

#define MODE_OF(flags) \
  mode_t mode = 0; \
  if ((flags) & (O_CREAT | O_TMPFILE)) { va_list list; va_start(list, flags); mode = va_arg(list, mode_t); va_end(list); }

int open(const char *path, int flags, ...) { MODE_OF(flags) return open_file(path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE_OF(flags) return open_file(path, flags, mode); }
