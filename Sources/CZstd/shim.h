#pragma once

#include <zstd.h>
#include <zstd_errors.h>

// Casting macros, which Swift does not import.
static const unsigned long long CZstd_CONTENTSIZE_UNKNOWN = ZSTD_CONTENTSIZE_UNKNOWN;
static const unsigned long long CZstd_CONTENTSIZE_ERROR = ZSTD_CONTENTSIZE_ERROR;
