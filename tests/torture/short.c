/* Preloaded into a receiver: every SHORT_EVERYth write into a file by position or not writes only half of what it is
   asked to, and says so, as a system may. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static long calls;

static size_t cut(int fd, size_t length)
{
	static long every;
	struct stat about;
	if (!every)
		every = atol(getenv("SHORT_EVERY") ? getenv("SHORT_EVERY") : "7");
	if (length < 2 || fstat(fd, &about) != 0 || !S_ISREG(about.st_mode))
		return length;
	return __sync_add_and_fetch(&calls, 1) % every == 0 ? length / 2 : length;
}

ssize_t write(int fd, const void *bytes, size_t length)
{
	return NEXT(write)(fd, bytes, cut(fd, length));
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at)
{
	return NEXT(pwrite)(fd, bytes, cut(fd, length), at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at)
{
	return NEXT(pwrite64)(fd, bytes, cut(fd, length), at);
}
