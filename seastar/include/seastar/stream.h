/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Buffers and streams. An input stream takes buffers from a source (a connection, a file, ...);
 * an output stream gathers what is written and hands it to a sink in batches.
 */
#ifndef SEASTAR_STREAM_H
#define SEASTAR_STREAM_H

#include <seastar/future.h>
#include <seastar/sync.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ss_bufref;

/** A piece of memory with shared ownership. A zeroed one is empty. */
typedef struct ss_buf {
	char *data;	       /**< First byte. */
	size_t len;	       /**< Bytes. */
	struct ss_bufref *ref; /**< The memory behind it; NULL for memory that is never freed. */
} ss_buf;

/** Allocate @p len bytes. Returns 0 or -ENOMEM. */
int ss_buf_alloc(ss_buf *b, size_t len);

/** A buffer with a copy of @p n bytes at @p data. Returns 0 or -ENOMEM. */
int ss_buf_copy(ss_buf *b, const void *data, size_t n);

/** A buffer over memory that is never freed. */
static inline ss_buf ss_buf_static(const void *data, size_t n)
{
	return (ss_buf){.data = (char *)(uintptr_t)data, .len = n, .ref = NULL};
}

/**
 * A buffer over foreign memory; @p release(@p arg) is called when the last user is done.
 * Returns 0 or -ENOMEM.
 */
int ss_buf_wrap(ss_buf *b, void *data, size_t n, void (*release)(void *arg), void *arg);

/** Another owner of bytes [@p off, @p off + @p len) of @p b, which must be inside it. */
ss_buf ss_buf_share(const ss_buf *b, size_t off, size_t len);

/** Give up this ownership; @p b becomes empty. */
void ss_buf_release(ss_buf *b);

/** Move: @p b becomes empty. */
static inline ss_buf ss_buf_move(ss_buf *b)
{
	ss_buf m = *b;

	*b = (ss_buf){NULL, 0, NULL};
	return m;
}

/** Where an input stream gets its data. */
typedef struct ss_source ss_source;
/** Functions of a source. One get at a time. */
struct ss_source_ops {
	/** Get the next buffer into @p out, which stays valid until the future is ready and is only
	 * written on success: resolves with its length, 0 at the end. */
	ss_future (*get)(ss_source *s, ss_buf *out);
	/** No more reads. May be NULL. */
	ss_future (*close)(ss_source *s);
};
/** Base of every source. */
struct ss_source {
	const struct ss_source_ops *ops; /**< Its functions. */
};

/** Where an output stream's data goes. */
typedef struct ss_sink ss_sink;
/** Functions of a sink. One put at a time. */
struct ss_sink_ops {
	/** Write all @p n buffers, which stay the stream's and untouched until the future is ready.
	 */
	ss_future (*put)(ss_sink *s, ss_buf *bufs, size_t n);
	/** The end: no more data will come. May be NULL. */
	ss_future (*close)(ss_sink *s);
};
/** Base of every sink. */
struct ss_sink {
	const struct ss_sink_ops *ops; /**< Its functions. */
};

/** Input stream. Not movable while an operation is in progress; one operation at a time. */
typedef struct ss_input {
	ss_source *source;		   /**< Where data comes from. */
	ss_buf buf;			   /**< Data read and not consumed. */
	ss_buf next;			   /**< Buffer the source is filling. */
	bool eof;			   /**< The source has ended. */
	bool pending;			   /**< A get is in progress. */
	void (*idle)(struct ss_input *in); /**< Set when the stream is to go: called once idle. */
} ss_input;

/** Prepare a stream over @p source. */
void ss_input_init(ss_input *in, ss_source *source);

/** Bytes that are there to be looked at. */
static inline size_t ss_input_len(const ss_input *in)
{
	return in->buf.len;
}

/** The bytes that are there. */
static inline const char *ss_input_data(const ss_input *in)
{
	return in->buf.data;
}

/** Drop the first @p n of the bytes that are there. */
void ss_input_consume(ss_input *in, size_t n);

/** Wait until at least one byte is there: resolves with how many are, 0 at the end. */
SS_MUST_USE ss_future ss_input_fill(ss_input *in);

/** Wait until more bytes are there than now, all contiguous: resolves with how many came, 0 at the
 * end. The caller bounds ss_input_len(). */
SS_MUST_USE ss_future ss_input_more(ss_input *in);

/** Read up to @p n bytes into @p dst: resolves with how many, 0 at the end. */
SS_MUST_USE ss_future ss_input_read(ss_input *in, void *dst, size_t n);

/** Read @p n bytes into @p dst: resolves with how many came before the end. */
SS_MUST_USE ss_future ss_input_read_exactly(ss_input *in, void *dst, size_t n);

/** Read whatever comes next without copying: resolves with out->len, 0 at the end. @p out must
 * live until the future is ready. */
SS_MUST_USE ss_future ss_input_take(ss_input *in, ss_buf *out);

/** Read and drop @p n bytes: resolves with how many there were before the end. */
SS_MUST_USE ss_future ss_input_skip(ss_input *in, uint64_t n);

/** Drop what is there and close the source. */
SS_MUST_USE ss_future ss_input_close(ss_input *in);

/** List of buffers of an output stream. */
struct ss_outvec {
	ss_buf *v;    /**< Buffers. */
	size_t n;     /**< How many. */
	size_t cap;   /**< Room. */
	size_t bytes; /**< Sum of their lengths. */
};

/** Output stream. Not movable while it holds data. */
typedef struct ss_output {
	ss_sink *sink;		/**< Where data goes. */
	struct ss_outvec fill;	/**< Being gathered. */
	struct ss_outvec fly;	/**< With the sink. */
	size_t room;		/**< Bytes free behind the last gathered buffer. */
	size_t limit;		/**< Write waits while more than this is gathered. */
	ss_waitq waiters;	/**< Who waits for the sink. */
	ss_future put;		/**< The put in progress. */
	bool putting;		/**< There is one. */
	bool queued;		/**< To be flushed at the end of the turn. */
	bool closed;		/**< ss_output_close() was called. */
	int err;		/**< First error of the sink; every later operation returns it. */
	struct ss_output *next; /**< In the list of those to flush. */
	void (*idle)(struct ss_output *out); /**< Set when the stream is to go: called once idle. */
} ss_output;

/** Prepare a stream over @p sink. */
void ss_output_init(ss_output *out, ss_sink *sink);

/** Write a copy of @p n bytes. Ready at once unless too much is waiting for the sink. */
SS_MUST_USE ss_future ss_output_write(ss_output *out, const void *data, size_t n);

/** Write a buffer without copying; it is taken over, whatever the result. */
SS_MUST_USE ss_future ss_output_write_buf(ss_output *out, ss_buf *b);

/** Write memory that is never freed, without copying. */
SS_MUST_USE ss_future ss_output_write_static(ss_output *out, const void *data, size_t n);

/**
 * Append without waiting, for replies known to be small: 0, -ENOMEM, or the stream's error. The
 * caller has to mind ss_output_pending() and wait with ss_output_flush().
 */
int ss_output_put(ss_output *out, const void *data, size_t n);

/** As ss_output_put(), without copying: the buffer is taken over, whatever the result. */
int ss_output_put_buf(ss_output *out, ss_buf *b);

/**
 * Room for at least @p n bytes (at most 4096) in one piece behind what was written. What the caller
 * puts there counts after ss_output_commit(), which must come before anything else is done with the
 * stream.
 * @param out   the stream.
 * @param n     bytes wanted, 1 to 4096.
 * @param room  gets how many bytes there are.
 * @return the first of them, or NULL if there is no memory or the stream has failed.
 */
char *ss_output_room(ss_output *out, size_t n, size_t *room);

/** Append @p n bytes that were written to what ss_output_room() returned. */
void ss_output_commit(ss_output *out, size_t n);

/** Bytes written and not yet taken by the sink. */
static inline size_t ss_output_pending(const ss_output *out)
{
	return out->fill.bytes + out->fly.bytes;
}

/**
 * Have what was written sent at the end of this turn of the loop, together with what else is
 * written until then. Waits only while an earlier batch is still with the sink.
 */
SS_MUST_USE ss_future ss_output_flush(ss_output *out);

/** Send everything and wait until the sink has taken it. */
SS_MUST_USE ss_future ss_output_drain(ss_output *out);

/** ss_output_drain(), then tell the sink that this was all. Must come before the stream goes. */
SS_MUST_USE ss_future ss_output_close(ss_output *out);

/** Free what the stream holds. No put may be in progress. */
void ss_output_destroy(ss_output *out);

/** Copy everything from @p in to @p out until the end; resolves with the number of bytes. */
SS_MUST_USE ss_future ss_stream_copy(ss_input *in, ss_output *out);

#ifdef __cplusplus
}
#endif
#endif
