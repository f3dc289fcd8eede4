/* Preloaded into a process by tests: logs the calls that change files below DISK_FOLDER into the
 * file DISK_LOG, and lets one read of DISK_FOLDER's database fail (DISK_FAIL: its number; DISK_HOW:
 * "error" for EIO, "zeros" for wrong content).
 *
 * A record of the log: one letter, three numbers (inode, offset, length), a path and data, each
 * with its length before it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int log_fd = -1;
static int reads = 0;

static const char *folder(void) { return getenv("DISK_FOLDER"); }

static int below(const char *path) {
    const char *top = folder();
    return top && path && strncmp(path, top, strlen(top)) == 0;
}

static int name_of(int fd, char *path) {
    char link[64];
    ssize_t length;
    int before = errno;
    strcpy(link, "/proc/self/fd/");
    char digits[16];
    int n = 0, f = fd;
    do { digits[n++] = '0' + f % 10; f /= 10; } while (f);
    char *end = link + strlen(link);
    while (n) *end++ = digits[--n];
    *end = 0;
    length = readlink(link, path, PATH_MAX - 1);
    errno = before;
    if (length < 0) return 0;
    path[length] = 0;
    return 1;
}

static void put(char kind, uint64_t inode, uint64_t offset, const char *path, const void *data,
                uint64_t length) {
    const char *to = getenv("DISK_LOG");
    int before = errno;
    if (!to) return;
    if (log_fd < 0) log_fd = syscall(SYS_openat, AT_FDCWD, to, O_CREAT | O_WRONLY | O_APPEND, 0600);
    uint64_t named = strlen(path), size = 1 + 5 * 8 + named + length;
    char *record = malloc(size), *at = record;
    uint64_t numbers[5] = {inode, offset, named, length, 0};
    *at++ = kind;
    memcpy(at, numbers, sizeof numbers);
    at += sizeof numbers;
    memcpy(at, path, named);
    at += named;
    if (length && data) memcpy(at, data, length);
    syscall(SYS_write, log_fd, record, size);
    free(record);
    errno = before;
}

static uint64_t inode_of(int fd) {
    struct stat found;
    return fstat(fd, &found) ? 0 : found.st_ino;
}

static void put_fd(char kind, int fd, uint64_t offset, const void *data, uint64_t length) {
    char path[PATH_MAX];
    if (name_of(fd, path) && below(path)) put(kind, inode_of(fd), offset, path, data, length);
}

#define REAL(type, name, ...) ((type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name))

static ssize_t written(int fd, const void *data, size_t length, off_t offset, ssize_t done) {
    (void)length;
    if (done > 0) put_fd('w', fd, offset, data, done);
    return done;
}

ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset) {
    pthread_mutex_lock(&lock);
    ssize_t done = written(fd, data, length, offset, syscall(SYS_pwrite64, fd, data, length, offset));
    pthread_mutex_unlock(&lock);
    return done;
}
ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) {
    return pwrite64(fd, data, length, offset);
}
ssize_t write(int fd, const void *data, size_t length) {
    pthread_mutex_lock(&lock);
    off_t offset = lseek(fd, 0, SEEK_CUR);
    ssize_t done = written(fd, data, length, offset, syscall(SYS_write, fd, data, length));
    pthread_mutex_unlock(&lock);
    return done;
}
static int truncated(int fd, off_t length) {
    pthread_mutex_lock(&lock);
    int done = syscall(SYS_ftruncate, fd, length);
    if (!done) put_fd('t', fd, length, NULL, 0);
    pthread_mutex_unlock(&lock);
    return done;
}
int ftruncate(int fd, off_t length) { return truncated(fd, length); }
int ftruncate64(int fd, off64_t length) { return truncated(fd, length); }
static int synced(int fd, int number) {
    pthread_mutex_lock(&lock);
    int done = syscall(number, fd);
    if (!done) put_fd('s', fd, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    return done;
}
int fsync(int fd) { return synced(fd, SYS_fsync); }
int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }
int unlink(const char *path) {
    pthread_mutex_lock(&lock);
    int done = syscall(SYS_unlink, path);
    if (!done && below(path)) put('u', 0, 0, path, NULL, 0);
    pthread_mutex_unlock(&lock);
    return done;
}
int rename(const char *from, const char *to) {
    pthread_mutex_lock(&lock);
    int done = syscall(SYS_rename, from, to);
    if (!done && below(to)) put('r', 0, 0, from, to, strlen(to));
    pthread_mutex_unlock(&lock);
    return done;
}
int mkdir(const char *path, mode_t mode) {
    pthread_mutex_lock(&lock);
    int done = syscall(SYS_mkdir, path, mode);
    if (!done && below(path)) put('d', 0, 0, path, NULL, 0);
    pthread_mutex_unlock(&lock);
    return done;
}
static int opened(int at, const char *path, int flags, mode_t mode) {
    pthread_mutex_lock(&lock);
    struct stat found;
    int before = errno;
    int new = (flags & O_CREAT) && below(path) && stat(path, &found) != 0;
    errno = before;
    int fd = syscall(SYS_openat, at, path, flags, mode);
    if (fd >= 0 && new) put('c', inode_of(fd), 0, path, NULL, 0);
    pthread_mutex_unlock(&lock);
    return fd;
}
#define MODE(flags) \
    mode_t mode = 0; \
    if (flags & O_CREAT) { va_list rest; va_start(rest, flags); mode = va_arg(rest, int); va_end(rest); }
int open(const char *path, int flags, ...) { MODE(flags) return opened(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return opened(AT_FDCWD, path, flags, mode); }
int openat(int at, const char *path, int flags, ...) { MODE(flags) return opened(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE(flags) return opened(at, path, flags, mode); }

/* One read of the database that fails. */
static int fails(int fd, void *data, size_t length, ssize_t *done) {
    const char *number = getenv("DISK_FAIL"), *how = getenv("DISK_HOW");
    char path[PATH_MAX];
    if (!number || !name_of(fd, path) || !below(path) || !strstr(path, "cache.db")) return 0;
    pthread_mutex_lock(&lock);
    int mine = ++reads == atoi(number);
    pthread_mutex_unlock(&lock);
    if (!mine) return 0;
    if (how && strcmp(how, "zeros") == 0) {
        memset(data, 0, length);
        *done = length;
    } else {
        errno = EIO;
        *done = -1;
    }
    return 1;
}
ssize_t pread64(int fd, void *data, size_t length, off64_t offset) {
    ssize_t done;
    if (fails(fd, data, length, &done)) return done;
    return syscall(SYS_pread64, fd, data, length, offset);
}
ssize_t pread(int fd, void *data, size_t length, off_t offset) {
    return pread64(fd, data, length, offset);
}
