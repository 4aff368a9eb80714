/*
 * A disk that fails on demand: preloaded into the daemon, it makes calls on the files of the store fail as the file
 * named by DISK_FAULTS says. "fsync": no sync succeeds (EIO). "full": no write (ENOSPC). "readonly": no write, and the
 * file system says that it is read-only (EROFS). Anything else, or no file: nothing fails.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int of_store(const char *path) { return strstr(path, "bridge.db") != NULL && strstr(path, ".lock") == NULL; }

static int fd_of_store(int fd) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, path, sizeof path - 1);
  if (n <= 0) return 0;
  path[n] = '\0';
  return of_store(path);
}

static int is(const char *mode) {
  char text[32] = "";
  const char *file = getenv("DISK_FAULTS");
  if (file == NULL) return 0;
  int fd = open(file, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  ssize_t n = read(fd, text, sizeof text - 1);
  close(fd);
  if (n < 0) return 0;
  return strncmp(text, mode, strlen(mode)) == 0;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define FAIL(code) do { errno = code; return -1; } while (0)

int fsync(int fd) {
  if (is("fsync") && fd_of_store(fd)) FAIL(EIO);
  return REAL(fsync)(fd);
}

int fdatasync(int fd) {
  if (is("fsync") && fd_of_store(fd)) FAIL(EIO);
  return REAL(fdatasync)(fd);
}

#define WRITES(fd) do { \
    if (is("full") && fd_of_store(fd)) FAIL(ENOSPC); \
    if (is("readonly") && fd_of_store(fd)) FAIL(EROFS); \
  } while (0)

ssize_t write(int fd, const void *from, size_t n) {
  if (fd > 2) WRITES(fd);
  return REAL(write)(fd, from, n);
}

ssize_t pwrite(int fd, const void *from, size_t n, off_t at) {
  WRITES(fd);
  return REAL(pwrite)(fd, from, n, at);
}

ssize_t pwrite64(int fd, const void *from, size_t n, off64_t at) {
  WRITES(fd);
  return REAL(pwrite64)(fd, from, n, at);
}

int access(const char *path, int mode) {
  if ((mode & W_OK) && of_store(path) && is("readonly")) FAIL(EROFS);
  return REAL(access)(path, mode);
}
