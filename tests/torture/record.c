/* Preloaded into a receiver: writes down, in order, whatever it does to the files of one folder, and every 200 before
   it is sent. Names are those of the folder; a file is told by its inode until another is made with the same one.

   A record: kind (1 byte), file (8), a (8), length (8), then so many bytes. Kinds: C made (a name), W written (at a),
   T cut (to a), S synced, U removed (a name), R renamed (two names, a zero between), D the folder synced, A answered. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static int record_fd = -1;
static char folder[PATH_MAX];
static size_t folder_length;
static ssize_t (*plain_write)(int, const void *, size_t);

__attribute__((constructor)) static void begin(void)
{
	const char *record = getenv("TORTURE_RECORD"), *of = getenv("TORTURE_FOLDER");
	plain_write = NEXT(write);
	if (!record || !of || !realpath(of, folder))
		return;
	folder_length = strlen(folder);
	record_fd = open(record, O_WRONLY | O_APPEND | O_CLOEXEC);
	if (record_fd >= 0)
		record_fd = fcntl(record_fd, F_DUPFD_CLOEXEC, 500);
}

static void put(const void *bytes, size_t length)
{
	const char *at = bytes;
	while (length > 0) {
		ssize_t wrote = plain_write(record_fd, at, length);
		if (wrote <= 0)
			abort();
		at += wrote;
		length -= (size_t)wrote;
	}
}

static void note(char kind, uint64_t file, uint64_t a, const void *bytes, uint64_t length)
{
	unsigned char head[25];
	int kept = errno;
	head[0] = (unsigned char)kind;
	memcpy(head + 1, &file, 8);
	memcpy(head + 9, &a, 8);
	memcpy(head + 17, &length, 8);
	put(head, sizeof head);
	put(bytes, length);
	errno = kept;
}

/* The name of `path` in the folder; nothing if it is elsewhere, in a folder below, or shared memory, which no disk
   keeps. */
static const char *name_of(const char *path)
{
	const char *name;
	size_t length;
	if (record_fd < 0 || strncmp(path, folder, folder_length) != 0 || path[folder_length] != '/')
		return NULL;
	name = path + folder_length + 1;
	length = strlen(name);
	if (strchr(name, '/') || (length > 4 && strcmp(name + length - 4, "-shm") == 0))
		return NULL;
	return name;
}

static int name_of_fd(int fd, char *into, const char **name)
{
	char link[64];
	ssize_t length;
	if (record_fd < 0)
		return 0;
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	length = readlink(link, into, PATH_MAX - 1);
	if (length <= 0)
		return 0;
	into[length] = 0;
	if (length > 10 && strcmp(into + length - 10, " (deleted)") == 0)
		into[length - 10] = 0;
	*name = name_of(into);
	return *name != NULL;
}

/* The file behind a descriptor, or 0 if it is none of the folder's. */
static uint64_t file_of(int fd)
{
	struct stat about;
	char path[PATH_MAX];
	const char *name;
	int kept = errno, ours;
	if (record_fd < 0 || fstat(fd, &about) != 0 || !S_ISREG(about.st_mode)) {
		errno = kept;
		return 0;
	}
	ours = name_of_fd(fd, path, &name);
	errno = kept;
	return ours ? about.st_ino : 0;
}

static int is_folder(int fd)
{
	char link[64], path[PATH_MAX];
	ssize_t length;
	int kept = errno;
	if (record_fd < 0)
		return 0;
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	length = readlink(link, path, sizeof path - 1);
	errno = kept;
	return length == (ssize_t)folder_length && memcmp(path, folder, folder_length) == 0;
}

static int opened(const char *path, int flags, int before, int fd)
{
	const char *name = name_of(path);
	struct stat about;
	if (fd >= 0 && name && fstat(fd, &about) == 0) {
		if (!before)
			note('C', about.st_ino, 0, name, strlen(name));
		else if (flags & O_TRUNC)
			note('T', about.st_ino, 0, "", 0);
	}
	return fd;
}

#define OPEN(function)                                                                                                \
	int function(const char *path, int flags, ...)                                                                \
	{                                                                                                             \
		va_list rest;                                                                                         \
		mode_t mode;                                                                                          \
		int before, fd;                                                                                       \
		va_start(rest, flags);                                                                                \
		mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;                                                    \
		va_end(rest);                                                                                         \
		if (!name_of(path) || !(flags & (O_CREAT | O_TRUNC)))                                                 \
			return NEXT(function)(path, flags, mode);                                                     \
		pthread_mutex_lock(&turn);                                                                            \
		before = access(path, F_OK) == 0;                                                                     \
		fd = opened(path, flags, before, NEXT(function)(path, flags, mode));                                  \
		pthread_mutex_unlock(&turn);                                                                          \
		return fd;                                                                                            \
	}
OPEN(open)
OPEN(open64)

#define OPENAT(function)                                                                                              \
	int function(int at, const char *path, int flags, ...)                                                        \
	{                                                                                                             \
		va_list rest;                                                                                         \
		mode_t mode;                                                                                          \
		int before, fd;                                                                                       \
		va_start(rest, flags);                                                                                \
		mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;                                                    \
		va_end(rest);                                                                                         \
		if (!name_of(path) || !(flags & (O_CREAT | O_TRUNC)))                                                 \
			return NEXT(function)(at, path, flags, mode);                                                 \
		pthread_mutex_lock(&turn);                                                                            \
		before = access(path, F_OK) == 0;                                                                     \
		fd = opened(path, flags, before, NEXT(function)(at, path, flags, mode));                              \
		pthread_mutex_unlock(&turn);                                                                          \
		return fd;                                                                                            \
	}
OPENAT(openat)
OPENAT(openat64)

static void note_answer(int fd, const void *bytes, size_t length)
{
	static const char good[] = "HTTP/1.1 200 ";
	struct stat about;
	if (record_fd < 0 || length < sizeof good || memcmp(bytes, good, sizeof good - 1) != 0)
		return;
	if (fstat(fd, &about) != 0 || !S_ISSOCK(about.st_mode))
		return;
	pthread_mutex_lock(&turn);
	note('A', 0, 0, bytes, length);
	pthread_mutex_unlock(&turn);
}

ssize_t write(int fd, const void *bytes, size_t length)
{
	uint64_t file = file_of(fd);
	ssize_t wrote;
	off_t at;
	if (!file) {
		note_answer(fd, bytes, length);
		return plain_write(fd, bytes, length);
	}
	pthread_mutex_lock(&turn);
	at = lseek(fd, 0, fcntl(fd, F_GETFL) & O_APPEND ? SEEK_END : SEEK_CUR);
	wrote = plain_write(fd, bytes, length);
	if (wrote > 0)
		note('W', file, (uint64_t)at, bytes, (uint64_t)wrote);
	pthread_mutex_unlock(&turn);
	return wrote;
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
	char whole[4096];
	size_t length = 0;
	int i;
	if (file_of(fd))
		abort(); /* Nobody writes a ledger like this: the record would miss it. */
	for (i = 0; i < count && length < sizeof whole; i++) {
		size_t take = parts[i].iov_len < sizeof whole - length ? parts[i].iov_len : sizeof whole - length;
		memcpy(whole + length, parts[i].iov_base, take);
		length += take;
	}
	note_answer(fd, whole, length);
	return NEXT(writev)(fd, parts, count);
}

ssize_t send(int fd, const void *bytes, size_t length, int flags)
{
	note_answer(fd, bytes, length);
	return NEXT(send)(fd, bytes, length, flags);
}

#define PWRITE(function, offset)                                                                                      \
	ssize_t function(int fd, const void *bytes, size_t length, offset at)                                         \
	{                                                                                                             \
		uint64_t file = file_of(fd);                                                                          \
		ssize_t wrote;                                                                                        \
		if (!file)                                                                                            \
			return NEXT(function)(fd, bytes, length, at);                                                 \
		pthread_mutex_lock(&turn);                                                                            \
		wrote = NEXT(function)(fd, bytes, length, at);                                                        \
		if (wrote > 0)                                                                                        \
			note('W', file, (uint64_t)at, bytes, (uint64_t)wrote);                                        \
		pthread_mutex_unlock(&turn);                                                                          \
		return wrote;                                                                                         \
	}
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define CUT(function, offset)                                                                                         \
	int function(int fd, offset size)                                                                             \
	{                                                                                                             \
		uint64_t file = file_of(fd);                                                                          \
		int done;                                                                                             \
		if (!file)                                                                                            \
			return NEXT(function)(fd, size);                                                              \
		pthread_mutex_lock(&turn);                                                                            \
		done = NEXT(function)(fd, size);                                                                      \
		if (done == 0)                                                                                        \
			note('T', file, (uint64_t)size, "", 0);                                                       \
		pthread_mutex_unlock(&turn);                                                                          \
		return done;                                                                                          \
	}
CUT(ftruncate, off_t)
CUT(ftruncate64, off64_t)

#define SYNC(function)                                                                                                \
	int function(int fd)                                                                                          \
	{                                                                                                             \
		uint64_t file = file_of(fd);                                                                          \
		int of_folder = !file && is_folder(fd), done;                                                         \
		if (!file && !of_folder)                                                                              \
			return NEXT(function)(fd);                                                                    \
		pthread_mutex_lock(&turn);                                                                            \
		done = NEXT(function)(fd);                                                                            \
		if (done == 0)                                                                                        \
			note(of_folder ? 'D' : 'S', file, 0, "", 0);                                                  \
		pthread_mutex_unlock(&turn);                                                                          \
		return done;                                                                                          \
	}
SYNC(fsync)
SYNC(fdatasync)

int unlink(const char *path)
{
	const char *name = name_of(path);
	int done;
	if (!name)
		return NEXT(unlink)(path);
	pthread_mutex_lock(&turn);
	done = NEXT(unlink)(path);
	if (done == 0)
		note('U', 0, 0, name, strlen(name));
	pthread_mutex_unlock(&turn);
	return done;
}

int rename(const char *from, const char *to)
{
	const char *old = name_of(from), *new = name_of(to);
	char both[2 * NAME_MAX + 2];
	int done;
	if (!old && !new)
		return NEXT(rename)(from, to);
	if (!old || !new) {
		struct stat found;
		if (lstat(from, &found) == 0 && S_ISSOCK(found.st_mode))
			return NEXT(rename)(from, to); /* A socket holds nothing that a crash could lose. */
		abort(); /* Nothing else comes into the folder or leaves it. */
	}
	pthread_mutex_lock(&turn);
	done = NEXT(rename)(from, to);
	if (done == 0) {
		int length = snprintf(both, sizeof both, "%s%c%s", old, 0, new);
		note('R', 0, 0, both, (uint64_t)length);
	}
	pthread_mutex_unlock(&turn);
	return done;
}

int link(const char *from, const char *to)
{
	if (name_of(from) || name_of(to))
		abort(); /* No second name for a ledger while it is written. */
	return NEXT(link)(from, to);
}
