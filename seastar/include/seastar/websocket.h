/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * WebSocket (RFC 6455): both sides. Messages come whole; pings are answered, silent connections are
 * pinged and ended, and the closing handshake is done by the library.
 *
 *     SS_FIBER(chat_fiber, ss_http_req *q;)
 *     {
 *         ss_auto_ws ws = SS_TRY_PTR(ss_ws_accept(self->q, NULL));
 *         ss_ws_message m;
 *
 *         while (SS_TRY(ss_ws_receive(ws, &m)))
 *             SS_TRY(ss_ws_send(ws, m.text, m.data.p, m.data.n));
 *         return SS_TRY(ss_ws_close(ws, SS_WS_NORMAL, NULL));
 *     }
 *
 * Browsers send requests of any page to any server: where that matters, the handler has to look at
 * the Origin field before it accepts.
 */
#ifndef SEASTAR_WEBSOCKET_H
#define SEASTAR_WEBSOCKET_H

#include <seastar/http_client.h>
#include <seastar/http_server.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ss_ws ss_ws; /**< One side of a connection. */

/** Status of a close. */
enum ss_ws_code {
	SS_WS_NORMAL = 1000,	 /**< Done. */
	SS_WS_AWAY = 1001,	 /**< The server stops, or the page was left. */
	SS_WS_PROTOCOL = 1002,	 /**< The other side broke the protocol. */
	SS_WS_TYPE = 1003,	 /**< Kind of message that is not accepted. */
	SS_WS_NONE = 1005,	 /**< Close without a status. Never sent. */
	SS_WS_ABNORMAL = 1006,	 /**< The connection ended without a close. Never sent. */
	SS_WS_DATA = 1007,	 /**< Text that is not UTF-8. */
	SS_WS_POLICY = 1008,	 /**< Not allowed. */
	SS_WS_TOO_LARGE = 1009,	 /**< Message over the limit. */
	SS_WS_UNEXPECTED = 1011, /**< The server failed. */
};

/** How a side behaves. Zero in a field means its default. */
typedef struct ss_ws_opts {
	size_t max_message; /**< Bytes of a message received: 1 MiB; larger ones end it (1009). */
	uint64_t ping_ns;   /**< Silence before a ping, and again before the end: 30 s. */
	uint64_t close_ns;  /**< Wait for the other side's close: 5 s. */
	const char *protocols; /**< Subprotocols, separated by commas, best first; NULL for none. */
} ss_ws_opts;

/** A message. */
typedef struct ss_ws_message {
	bool text;   /**< Valid UTF-8; else binary. */
	ss_str data; /**< Contents; valid until the next receive. */
} ss_ws_message;

/**
 * Server, in a handler: accept the upgrade that @p q asks for. If it does not ask for one, or not
 * correctly, the future fails and the client gets 400 or 426.
 * @return a ss_ws, to be freed with ss_ws_free() before the handler's future is ready.
 */
SS_MUST_USE ss_future ss_ws_accept(ss_http_req *q, const ss_ws_opts *opts);

/**
 * Client: open @p target on the server of @p client, which must outlive the result.
 * @return a ss_ws; -EPROTO if the server did not agree.
 */
SS_MUST_USE ss_future ss_ws_connect(
    ss_http_client *client, const char *target, const ss_ws_opts *opts);

/** The subprotocol agreed on; NULL for none. */
const char *ss_ws_protocol(const ss_ws *ws);

/**
 * Wait for the next message. One receive at a time; sends may happen meanwhile.
 * @param ws   the connection.
 * @param out  gets the message; must live until the future is ready.
 * @return 1, or 0 once the other side has closed; -EPROTO if it broke the protocol (it was told
 *         so), -EMSGSIZE, -ETIMEDOUT for silence, -ECONNRESET.
 */
SS_MUST_USE ss_future ss_ws_receive(ss_ws *ws, ss_ws_message *out);

/** Send a message; waits while the other side does not read. -ESHUTDOWN after a close. */
SS_MUST_USE ss_future ss_ws_send(ss_ws *ws, bool text, const void *data, size_t n);

/** Send a piece of a message: @p first and @p last tell where it belongs. */
SS_MUST_USE ss_future ss_ws_send_part(
    ss_ws *ws, bool text, const void *data, size_t n, bool first, bool last);

/** Send a ping with up to 125 bytes. */
SS_MUST_USE ss_future ss_ws_ping(ss_ws *ws, const void *data, size_t n);

/**
 * Close: send @p code (0 for none) and @p reason (UTF-8, at most 123 bytes; or NULL), then wait for
 * the other side's close while dropping messages. Must not be called during a receive.
 */
SS_MUST_USE ss_future ss_ws_close(ss_ws *ws, int code, const char *reason);

/** Code with which the other side closed; SS_WS_NONE without one, SS_WS_ABNORMAL if it did not. */
int ss_ws_close_code(const ss_ws *ws);

/** Free; a connection not closed is broken off. NULL is allowed. */
void ss_ws_free(ss_ws *ws);

/** For the cleanup attribute. */
static inline void ss_ws_drop(ss_ws **ws)
{
	ss_ws_free(*ws);
}

/** Declare `ss_auto_ws ws = ...;` to free the connection when the scope ends. */
#define ss_auto_ws __attribute__((cleanup(ss_ws_drop), unused)) ss_ws *

/** Head of a frame. */
typedef struct ss_ws_frame {
	uint64_t length; /**< Bytes of its payload. */
	uint8_t opcode;	 /**< What it is. */
	bool fin;	 /**< Last of its message. */
	bool masked;	 /**< Payload is masked. */
	uint8_t mask[4]; /**< With this. */
} ss_ws_frame;

/** Parse the head of a frame: its length, 0 if it is not complete, -EPROTO. */
int ss_ws_parse_frame(ss_ws_frame *f, const void *buf, size_t n);

/** Write the head of a frame; @p out has 14 bytes. Returns its length. */
size_t ss_ws_write_frame(const ss_ws_frame *f, void *out);

/** Mask or unmask @p n bytes that begin at offset @p at of the payload. */
void ss_ws_mask(const uint8_t mask[4], uint64_t at, char *data, size_t n);

/** True if @p n bytes are valid UTF-8. */
bool ss_utf8_valid(const char *p, size_t n);

#ifdef __cplusplus
}
#endif
#endif
