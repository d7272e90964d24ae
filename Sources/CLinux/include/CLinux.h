// System calls and CPU instructions that glibc 2.34 or Swift's Glibc module hides. Nothing here decides anything:
// a call returns what the kernel returned, -1 with errno set. Every name has the prefix CLinux_.
#pragma once

#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

// openat2(2), Linux 5.6. `resolve` takes the RESOLVE_* values below.
int CLinux_openat2(int dirfd, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve);
#define CLinux_RESOLVE_NO_XDEV 0x01ull
#define CLinux_RESOLVE_NO_MAGICLINKS 0x02ull
#define CLinux_RESOLVE_NO_SYMLINKS 0x04ull
#define CLinux_RESOLVE_BENEATH 0x08ull
#define CLinux_RESOLVE_IN_ROOT 0x10ull

// Flags that glibc has only under _GNU_SOURCE, which Swift's module does not set.
extern const int CLinux_O_PATH;
extern const int CLinux_O_NOATIME;
extern const int CLinux_AT_EMPTY_PATH;
extern const int CLinux_SEEK_DATA;
extern const int CLinux_SEEK_HOLE;

// getdents64(2): fills `buffer` with `struct linux_dirent64`; 0 at the end of the directory.
ssize_t CLinux_getdents(int fd, void *buffer, size_t size);

// lgetxattr(2) and its family, which Swift's Glibc module leaves out. The first two never follow a link at the end
// of `path`, the last two do.
ssize_t CLinux_llistxattr(const char *path, char *list, size_t size);
ssize_t CLinux_lgetxattr(const char *path, const char *name, void *value, size_t size);
int CLinux_setxattr(const char *path, const char *name, const void *value, size_t size);
int CLinux_removexattr(const char *path, const char *name);

// renameat2(2), Linux 3.15; glibc has it only under _GNU_SOURCE, which Swift's module does not set.
int CLinux_renameat2(int olddir, const char *oldpath, int newdir, const char *newpath, unsigned flags);
#define CLinux_RENAME_NOREPLACE 1u
#define CLinux_RENAME_EXCHANGE 2u

// mallopt(3), M_MMAP_THRESHOLD: buffers of this size and more go back to the system as soon as they are freed.
int CLinux_unmap_buffers_from(int size);

// syncfs(2): waits until the file system of `fd` has everything on disk.
int CLinux_syncfs(int fd);

// sync_file_range(2) with SYNC_FILE_RANGE_WRITE: has the kernel start writing to disk, does not wait for it.
int CLinux_start_writeback(int fd, int64_t offset, int64_t length);

// Has an open file read and written past the page cache (O_DIRECT), or no longer: -1 with EINVAL where it cannot be.
int CLinux_set_direct(int fd, int direct);

// One file, as statx(2) tells it.
struct CLinux_stat {
    uint64_t device, inode, rdev_major, rdev_minor, size, blocks;
    uint32_t mode, uid, gid, nlink;
    int64_t mtime_sec, ctime_sec, btime_sec;
    uint32_t mtime_nsec, ctime_nsec, btime_nsec;
    // 1: the file is the root of a mount; 0: it is not; -1: the kernel does not say (before 5.8).
    int mount_root;
    // The mount that the file was reached through, as /proc/self/mountinfo numbers it; 0 when the kernel does not say
    // (before 5.8).
    uint64_t mount_id;
    // 1 when STATX_ATTR_IMMUTABLE or STATX_ATTR_APPEND is set.
    int immutable;
};
// statx(2) relative to `dirfd`; an empty `path` looks at `dirfd` itself. Never follows a link at the end.
int CLinux_statx(int dirfd, const char *path, struct CLinux_stat *out);

// FICLONE: makes `dst` share all blocks of `src`.
int CLinux_ficlone(int dst, int src);

// O_TMPFILE, which needs _GNU_SOURCE: an unnamed file in the directory `path`, mode 0600, gone when it is closed.
int CLinux_open_unnamed(const char *directory);

// fallocate(2) with FALLOC_FL_KEEP_SIZE: the first `length` bytes of a file can be written later, whatever fills the
// file system meanwhile; the file stays as long as it is.
int CLinux_reserve(int fd, int64_t length);

// OFD locks (fcntl F_OFD_SETLK): whole file, exclusive when `exclusive` is not 0. Never waits.
int CLinux_ofd_lock(int fd, int exclusive);

// 1 when another open file description holds a lock on the file, 0 when none does; takes none (F_OFD_GETLK).
int CLinux_ofd_is_locked(int fd);

// setns(2), unshare(2) and the kinds of namespaces; glibc hides them behind _GNU_SOURCE. A process with more than one
// thread cannot enter a mount namespace (EINVAL).
int CLinux_setns(int fd, int nstype);
int CLinux_unshare(int flags);
extern const int CLinux_CLONE_NEWNS;
extern const int CLinux_CLONE_NEWNET;
extern const int CLinux_CLONE_NEWUTS;

// A mount namespace of this process's own, which follows what is mounted in the one before, and in it at `path` the procfs
// of this process's own numbers. For a process with one thread.
int CLinux_own_proc(const char *path);

// The wall clock. struct timespec belongs to another module in a program with Swift's runtime inside.
void CLinux_wall_clock(int64_t *seconds, int32_t *nanoseconds);

// adjtimex(2): 1 when the clock follows another one, 0 when it does not, -1 when the kernel does not say.
int CLinux_clock_is_synchronized(void);

// sigtimedwait(2): the number of a signal of `set`, or -1 when none came within `nanoseconds`.
int CLinux_wait_for_signal(const sigset_t *set, int64_t nanoseconds);

// eventfd(2), which Swift's Glibc module leaves out: a counter at 0, close-on-exec, never blocking.
int CLinux_eventfd(void);

// CRC-32C (Castagnoli, reflected 0x82F63B78, initial value and final xor ~0); `crc` is the value so far, 0 to begin.
// Uses the CPU's instruction where there is one.
uint32_t CLinux_crc32c(uint32_t crc, const void *data, size_t length);

// SHA-256 of `count` messages at once, 8 (AVX2) or 16 (AVX-512) at a time: one message in each lane of the CPU's
// vectors, the next message where one has ended. The digests go to `digests`, 32 bytes each. A long message last keeps
// one lane busy and all others waiting: sort by length, longest first.
// `lanes` must be a number for which the function below says that the CPU can do it.
void CLinux_sha256_lanes(
    int lanes, size_t count, const void *const *messages, const size_t *lengths, uint8_t *digests);
int CLinux_has_sha256_lanes(int lanes);

// Whether the CPU has instructions for SHA-256 itself (x86: SHA-NI; elsewhere not asked, always 0).
int CLinux_has_sha_instructions(void);
