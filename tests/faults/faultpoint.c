/* Preloaded into the gateway: something goes wrong at the k-th call to the kernel that can lose or double anything.

   Calls are counted over all threads and forked processes of a batch, in a file that all of them map. Without
   FAULT_AT the calls are only counted and, where FAULT_LOG names a file, listed.

   FAULT_STATE  the file with the counters         FAULT_CALLS  ",write,fsync,": which calls count
   FAULT_AT     the call that goes wrong           FAULT_DO     kill, group, stop, or the number of an errno
   FAULT_LAST   the last call that goes wrong (errno only; default: only the one)
*/
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

struct counters {
  _Atomic long counted; /* calls so far */
  _Atomic long fired;   /* calls that went wrong */
};

static struct counters *state;
static const char *calls;
static long at, last;
static int log_file = -1, error_number;
static char action[16];

/* Reads the environment; a process that was forked for a batch calls it once it knows what is to happen. */
__attribute__((constructor)) void faultpoint_prepare(void) {
  const char *path = getenv("FAULT_STATE");
  if (!path || !getenv("FAULT_CALLS")) return;
  int file = open(path, O_RDWR | O_CLOEXEC);
  if (file < 0) return;
  struct counters *map = mmap(NULL, sizeof *map, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  syscall(SYS_close, file);
  if (map == MAP_FAILED) return;
  calls = strdup(getenv("FAULT_CALLS"));
  at = getenv("FAULT_AT") ? atol(getenv("FAULT_AT")) : 0;
  last = getenv("FAULT_LAST") ? atol(getenv("FAULT_LAST")) : at;
  snprintf(action, sizeof action, "%s", getenv("FAULT_DO") ? getenv("FAULT_DO") : "kill");
  error_number = atoi(action);
  if (getenv("FAULT_LOG")) log_file = open(getenv("FAULT_LOG"), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  unsetenv("LD_PRELOAD"); /* programs that the gateway starts are not the gateway */
  state = map;
}

static void note(const char *name, int fd, const char *path) {
  char line[512], link[64], target[300] = "";
  if (path) {
    snprintf(target, sizeof target, "%s", path);
  } else {
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, target, sizeof target - 1);
    target[length > 0 ? length : 0] = 0;
  }
  int length = snprintf(line, sizeof line, "%s %s\n", name, target);
  syscall(SYS_write, log_file, line, length);
}

/* 0: go on; else the errno that the call fails with. Errors are for files only: a socket has no full disk. */
static int goes_wrong(const char *name, int fd, const char *path) {
  char wanted[32];
  struct stat facts;
  if (!state) return 0;
  snprintf(wanted, sizeof wanted, ",%s,", name);
  if (!strstr(calls, wanted) || (!path && fd >= 0 && fd <= 2)) return 0;
  if (error_number && !path && (fstat(fd, &facts) || S_ISSOCK(facts.st_mode) || S_ISFIFO(facts.st_mode))) return 0;
  long now = atomic_fetch_add(&state->counted, 1) + 1;
  if (log_file >= 0) note(name, fd, path);
  if (!at || now < at || now > last) return 0;
  atomic_fetch_add(&state->fired, 1);
  if (error_number) return error_number;
  if (!strcmp(action, "group")) kill(0, SIGKILL);
  kill(getpid(), strcmp(action, "stop") ? SIGKILL : SIGSTOP);
  return 0;
}

#define REAL(name) __typeof__(&name) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)
#define MAY_FAIL(label, fd, path)                  \
  do {                                             \
    int wrong = goes_wrong(label, fd, path);       \
    if (wrong) { errno = wrong; return -1; }       \
  } while (0)

ssize_t write(int fd, const void *data, size_t size) { REAL(write); MAY_FAIL("write", fd, NULL); return real(fd, data, size); }
ssize_t pwrite(int fd, const void *data, size_t size, off_t where) { REAL(pwrite); MAY_FAIL("pwrite", fd, NULL); return real(fd, data, size, where); }
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t where) { REAL(pwrite64); MAY_FAIL("pwrite", fd, NULL); return real(fd, data, size, where); }
int fsync(int fd) { REAL(fsync); MAY_FAIL("fsync", fd, NULL); return real(fd); }
int fdatasync(int fd) { REAL(fdatasync); MAY_FAIL("fdatasync", fd, NULL); return real(fd); }
int ftruncate(int fd, off_t size) { REAL(ftruncate); MAY_FAIL("ftruncate", fd, NULL); return real(fd, size); }
int ftruncate64(int fd, off64_t size) { REAL(ftruncate64); MAY_FAIL("ftruncate", fd, NULL); return real(fd, size); }
int rename(const char *from, const char *to) { REAL(rename); MAY_FAIL("rename", -1, to); return real(from, to); }
int unlink(const char *path) { REAL(unlink); MAY_FAIL("unlink", -1, path); return real(path); }
int mkdir(const char *path, mode_t mode) { REAL(mkdir); MAY_FAIL("mkdir", -1, path); return real(path, mode); }
ssize_t send(int fd, const void *data, size_t size, int flags) { REAL(send); MAY_FAIL("send", fd, NULL); return real(fd, data, size, flags); }
ssize_t sendto(int fd, const void *data, size_t size, int flags, const struct sockaddr *to, socklen_t length) { REAL(sendto); MAY_FAIL("send", fd, NULL); return real(fd, data, size, flags, to, length); }
ssize_t recv(int fd, void *data, size_t size, int flags) { REAL(recv); MAY_FAIL("recv", fd, NULL); return real(fd, data, size, flags); }
ssize_t recvfrom(int fd, void *data, size_t size, int flags, struct sockaddr *from, socklen_t *length) { REAL(recvfrom); MAY_FAIL("recv", fd, NULL); return real(fd, data, size, flags, from, length); }
int connect(int fd, const struct sockaddr *to, socklen_t length) { REAL(connect); MAY_FAIL("connect", fd, NULL); return real(fd, to, length); }
