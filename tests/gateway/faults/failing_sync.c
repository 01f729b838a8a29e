/* Loaded before libc: syncs fail with EIO while the file named by SLUICE_FAIL_SYNC exists. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static int fails(void)
{
    const char *file = getenv("SLUICE_FAIL_SYNC");
    return file && access(file, F_OK) == 0;
}

int fsync(int fd)
{
    if (fails()) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    if (fails()) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}
