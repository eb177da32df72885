/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Files: direct (DMA) reads and writes, streams over them, directories; and the I/O scheduler that
 * decides whose requests go to the disk first.
 */
#ifndef SEASTAR_FILE_H
#define SEASTAR_FILE_H

#include <seastar/stream.h>

#include <fcntl.h>
#include <sys/stat.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ss_file ss_file; /**< An open file of this shard. */

/** A class of I/O requests with a weight. The same number on every shard. */
typedef unsigned ss_io_class;

/**
 * Register a class on every shard.
 * @param name    copied.
 * @param shares  weight against the other classes (class 0 has 100), 1 to 100000.
 * @return the class as `r.i`; -ENOSPC if there are too many.
 */
SS_MUST_USE ss_future ss_io_class_create(const char *name, unsigned shares);

/** What a class did on this shard. */
struct ss_io_stats {
	const char *name;   /**< Of the class. */
	unsigned shares;    /**< Weight. */
	uint64_t requests;  /**< Requests done. */
	uint64_t bytes;	    /**< Bytes moved. */
	uint64_t queued_ns; /**< Sum of the times spent waiting for the scheduler. */
	uint64_t device_ns; /**< Sum of the times spent on the device. */
};

/** Statistics of @p c; false if there is no such class. */
bool ss_io_class_stats(ss_io_class c, struct ss_io_stats *out);

/** What a disk can do, as iotune measures it; of the whole program. 0 means no limit. */
struct ss_io_properties {
	uint64_t read_iops;	  /**< Reads per second. */
	uint64_t read_bandwidth;  /**< Bytes read per second. */
	uint64_t write_iops;	  /**< Writes per second. */
	uint64_t write_bandwidth; /**< Bytes written per second. */
	unsigned depth;		  /**< Requests on the device at a time. */
};

/**
 * Parse a properties file: lines "name: value" with the names of ss_io_properties, comments with #.
 * @param text   contents.
 * @param n      bytes at @p text.
 * @param out    gets the properties.
 * @param error  gets the message on failure.
 * @param error_size  bytes at @p error.
 * @return 0 or -EINVAL.
 */
int ss_io_properties_parse(
    const char *text, size_t n, struct ss_io_properties *out, char *error, size_t error_size);

/** Limit this shard's requests (its part of the machine's). */
void ss_io_set_properties(const struct ss_io_properties *p);

/**
 * Open a file for direct access where the file system allows it.
 * @param path   copied.
 * @param flags  as for open(2); O_DIRECT and O_CLOEXEC are added.
 * @param mode   permissions of a new file.
 * @return a ss_file.
 */
SS_MUST_USE ss_future ss_file_open(const char *path, int flags, mode_t mode);

/** Close and free. Requests must have ended. NULL is allowed. */
void ss_file_close(ss_file *f);

/** For the cleanup attribute. */
static inline void ss_file_drop(ss_file **f)
{
	ss_file_close(*f);
}

/** Declare `ss_auto_file f = ...;` to close the file when the scope ends. */
#define ss_auto_file __attribute__((cleanup(ss_file_drop), unused)) ss_file *

/** Use class @p c for the requests of @p f from now on. */
void ss_file_set_class(ss_file *f, ss_io_class c);

/** Alignment that offsets, lengths and buffers of direct requests need, in bytes. */
size_t ss_file_alignment(const ss_file *f);

/** A buffer aligned for @p f, freed with ss_free(); NULL if there is no memory. */
void *ss_file_buffer(const ss_file *f, size_t n);

/** Read up to @p n bytes at @p offset; all three aligned. Resolves with bytes read, 0 at the end.
 * @p buf must live until the future is ready. */
SS_MUST_USE ss_future ss_file_read(ss_file *f, uint64_t offset, void *buf, size_t n);

/** Write @p n bytes at @p offset; all three aligned. Resolves with bytes written. */
SS_MUST_USE ss_future ss_file_write(ss_file *f, uint64_t offset, const void *buf, size_t n);

/**
 * Let disk requests of this shard fail, for tests: of the reads, writes and syncs that end from now
 * on the first @p after are left alone, and the next @p count get @p result instead of their own: a
 * negative errno such as -EIO, or the number of bytes of a short transfer (what was really
 * transferred stays). @p count 0 stops it.
 */
void ss_io_inject(int64_t result, uint64_t after, uint64_t count);

/** Have everything written on stable storage. */
SS_MUST_USE ss_future ss_file_sync(ss_file *f);

/** Set the length. */
SS_MUST_USE ss_future ss_file_truncate(ss_file *f, uint64_t size);

/** Reserve space for [@p offset, @p offset + @p n) without changing the length. */
SS_MUST_USE ss_future ss_file_allocate(ss_file *f, uint64_t offset, uint64_t n);

/** Length in bytes. */
SS_MUST_USE ss_future ss_file_size(ss_file *f);

/** How a stream over a file works. */
typedef struct ss_file_stream_opts {
	size_t buffer;	 /**< Bytes of one request; 0 for 128 KiB. */
	unsigned ahead;	 /**< Requests of read-ahead or write-behind; 0 for 2. */
	uint64_t offset; /**< Where to begin. */
} ss_file_stream_opts;

typedef struct ss_file_reader ss_file_reader; /**< Input stream over a file. */
typedef struct ss_file_writer ss_file_writer; /**< Output stream over a file. */

/** A stream that reads ahead. NULL if there is no memory. @p opts may be NULL. */
ss_file_reader *ss_file_reader_new(ss_file *f, const ss_file_stream_opts *opts);
/** The input stream. */
ss_input *ss_file_reader_input(ss_file_reader *r);
/** Wait for requests in progress and free. */
SS_MUST_USE ss_future ss_file_reader_close(ss_file_reader *r);

/** A stream that writes behind. NULL if there is no memory. @p opts may be NULL. */
ss_file_writer *ss_file_writer_new(ss_file *f, const ss_file_stream_opts *opts);
/** The output stream. */
ss_output *ss_file_writer_output(ss_file_writer *w);
/** Write the rest, set the file's length, sync it, and free. Fails with the first error. */
SS_MUST_USE ss_future ss_file_writer_close(ss_file_writer *w);

/** Remove a file. */
SS_MUST_USE ss_future ss_unlink(const char *path);
/** Rename a file. */
SS_MUST_USE ss_future ss_rename(const char *from, const char *to);
/** Make a directory. */
SS_MUST_USE ss_future ss_mkdir(const char *path, mode_t mode);
/** Sync a directory, so that names made or removed in it last. */
SS_MUST_USE ss_future ss_sync_directory(const char *path);
/** stat(2) into @p out, which must live until the future is ready. */
SS_MUST_USE ss_future ss_stat(const char *path, struct stat *out);

/** Names in a directory. */
typedef struct ss_names {
	char **v; /**< Names, without "." and "..", in the directory's order. */
	size_t n; /**< How many. */
} ss_names;

/** List a directory into @p out, which must live until the future is ready. */
SS_MUST_USE ss_future ss_list_directory(const char *path, ss_names *out);
/** Free the names. */
void ss_names_free(ss_names *names);

/**
 * Run a blocking function on a thread of the pool; the future resolves with what it returns (a
 * negative value is an error). @p fn must not use the framework.
 */
SS_MUST_USE ss_future ss_blocking(int64_t (*fn)(void *arg), void *arg);

#ifdef __cplusplus
}
#endif
#endif
