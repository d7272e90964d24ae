#pragma once

#include <archive.h>
#include <archive_entry.h>
#include <sys/sysmacros.h>

// The AE_IF* file types and the ACL constants are casts or macros that Swift does not import.
static const unsigned int CArchive_AE_IFREG = AE_IFREG;
static const unsigned int CArchive_AE_IFLNK = AE_IFLNK;
static const unsigned int CArchive_AE_IFSOCK = AE_IFSOCK;
static const unsigned int CArchive_AE_IFCHR = AE_IFCHR;
static const unsigned int CArchive_AE_IFBLK = AE_IFBLK;
static const unsigned int CArchive_AE_IFDIR = AE_IFDIR;
static const unsigned int CArchive_AE_IFIFO = AE_IFIFO;
