/* What a server accepts and refuses, as a table of byte streams. */
#include "tools.h"

#define OUTCOME(row, cut) outcome((row)->bytes, (row)->length, cut)
#define START() start_server()
#define STOP() stop_server()
#include "rows.h"

#define REFUSED "-> 400 end"

#define GET(rest) "GET " rest " HTTP/1.1\r\n\r\n"
#define WITH(line) "GET / HTTP/1.1\r\nHost: a\r\n" line "\r\n\r\n"
#define POST(headers, rest) "POST / HTTP/1.1\r\n" headers "\r\n\r\n" rest
#define CHUNKED(rest) POST("Transfer-Encoding: chunked", rest)
#define NEXT "GET /next HTTP/1.1\r\n\r\n"

static const struct row rows[] = {
	/* Lines. */
	ROW("GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n\r\n", "GET / X=[b]; -> 200 open"),
	ROW("GET / HTTP/1.1\nHost: a\nX: b\n\n", "GET / X=[b]; -> 200 open"),
	ROW("GET / HTTP/1.1\nHost: a\r\nX: b\n\r\n", "GET / X=[b]; -> 200 open"),
	ROW("\r\nGET / HTTP/1.1\r\n\r\n", REFUSED),
	ROW("\nGET / HTTP/1.1\r\n\r\n", REFUSED),
	ROW(WITH("") NEXT, "GET /; -> 200 400 end"), /* an empty line in front of the next */

	/* The first line. */
	ROW("A / HTTP/1.1\r\n\r\n", REFUSED), /* shorter than any sensible one */
	ROW("A /bb HTTP/1.1\r\n\r\n", "-> 501 end"),
	ROW("GET / HTTP/1.1  \r\n\r\n", "GET /; -> 200 open"),
	ROW("GET / HTTP/1.1 \t\r\n\r\n", REFUSED),
	ROW("GET /a b c HTTP/1.1\r\n\r\n", "GET /a b c; -> 200 open"),
	ROW("GET  /a HTTP/1.1\r\n\r\n", "GET  /a; -> 200 open"),
	ROW("GET\t/aa\tHTTP/1.1\r\n\r\n", REFUSED),
	ROW("POST  HTTP/1.1\r\n\r\n", REFUSED),
	ROW("DELETE  HTTP/1.1\r\n\r\n", REFUSED),
	ROW("GET /aaaaaaaaaaaaaaa\r\n\r\n", REFUSED),
	ROW("GETaaaaaaaaaaaaaaaa\r\n\r\n", REFUSED),
	ROW(GET("/\xe4\xff"), "GET /\\xe4\\xff; -> 200 open"),
	ROW(GET("/\0a"), REFUSED),
	ROW("G\0T /aa HTTP/1.1\r\n\r\n", REFUSED),
	ROW("GET / HTTP/1.\0\r\n\r\n", REFUSED),
	ROW("GET / HTTP/1.1\r\r\n\r\n", REFUSED),
	ROW(GET("1a:b@c"), REFUSED),
	ROW(GET("http://h:x/"), REFUSED),
	ROW(GET("http://[::1/"), REFUSED),
	ROW(GET("*"), "GET *; -> 200 open"),
	ROW(GET("/a%20b?c=%41#d"), "GET /a%20b?c=%41#d; -> 200 open"),
	ROW(GET("/a\"<>[]{}|\\^`"), "GET /a\"<>[]{}|\\^`; -> 200 open"),
	ROW("GET / HTTP/0.9\r\n\r\n", "GET /; -> end"),
	ROW("GET / HTTP/1.0\r\n\r\n", "GET /; -> 200 end"),
	ROW("GET / HTTP/1.2\r\n\r\n", "GET /; -> 200 open"),
	ROW("GET / HTTP/2.0\r\n\r\n", REFUSED),
	ROW("GET / HTTP/9.9\r\n\r\n", REFUSED),
	ROW("GET / http/1.1\r\n\r\n", REFUSED),
	ROW("GET / HTTP/1\r\n\r\n", REFUSED),
	ROW("GET / HTTP/1.\r\n\r\n", REFUSED),
	ROW("GET / HTTP/.1\r\n\r\n", REFUSED),
	ROW("GET / HTTP/1.1x\r\n\r\n", REFUSED),
	ROW("GET / HTTP/1.1.1\r\n\r\n", REFUSED),
	ROW("GET /a HTTP/1. 1\r\n\r\n", REFUSED),
	ROW("GET / HTTP 1.1\r\n\r\n", REFUSED),
	ROW("get / HTTP/1.1\r\n\r\n", "-> 501 end"),
	ROW("FOO / HTTP/1.1\r\n\r\n", "-> 501 end"),
	ROW("GETT / HTTP/1.1\r\n\r\n", "-> 501 end"),
	ROW("PATCH / HTTP/1.1\r\n\r\n", "-> 501 end"),
	ROW("FOO /aa HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n", "-> 501 end"),

	/* Headers. */
	ROW(WITH("X: b"), "GET / X=[b]; -> 200 open"),
	ROW(WITH("x:b"), "GET / X=[b]; -> 200 open"),
	ROW(WITH("X:   b"), "GET / X=[b]; -> 200 open"),
	ROW(WITH("X: b \t "), "GET / X=[b]; -> 200 open"),
	ROW(WITH("X:"), "GET / X=[]; -> 200 open"),
	ROW(WITH("X:  "), "GET / X=[]; -> 200 open"),
	ROW(WITH("X: a:b: c"), "GET / X=[a:b: c]; -> 200 open"),
	ROW(WITH("X: 1\r\nX: 2"), "GET / X=[1]; -> 200 open"),
	ROW(WITH("X: \x01\x7f\xe4\xff"), "GET / X=[\\x01\\x7f\\xe4\\xff]; -> 200 open"),
	ROW(WITH("X"), REFUSED),
	ROW(WITH("X b"), REFUSED),
	ROW(WITH("X\0: b"), REFUSED),
	ROW(WITH("X: a\rb"), REFUSED),
	ROW(WITH("X: a\rY: b"), REFUSED),
	ROW(WITH("X\r: b"), REFUSED),
	ROW(WITH("X: a\r b"), REFUSED),
	ROW("GET / HTTP/1.1\r\n X: b\r\n\r\n", REFUSED), /* continues nothing */
	ROW("GET / HTTP/1.1\r\n\tX: b\r\n\r\n", REFUSED),
	ROW(WITH("X: a\r\n b"), "GET / X=[a b]; -> 200 open"),
	ROW(WITH("X: a\n b"), "GET / X=[a b]; -> 200 open"),
	ROW(WITH("X: a \r\n \t b \r\n\t\tc"), "GET / X=[a b c]; -> 200 open"),
	ROW(WITH("X:\r\n b"), "GET / X=[ b]; -> 200 open"),
	ROW(WITH("X: a\r\n b:c"), "GET / X=[a b:c]; -> 200 open"),
	ROW("GET / HTTP/1.1\r\n\r\n", "GET /; -> 200 open"), /* no Host */

	/* The length of a body. */
	ROW(POST("X: y", "") NEXT, "POST / X=[y]; GET /next; -> 200 200 open"),
	ROW(POST("Content-Length: 3", "abc") NEXT, "POST / [abc]; GET /next; -> 200 200 open"),
	ROW(POST("Content-Length: 0", "") NEXT, "POST /; GET /next; -> 200 200 open"),
	ROW(POST("Content-Length: 0003", "abc") NEXT, "POST / [abc]; GET /next; -> 200 200 open"),
	ROW(POST("content-length:3 ", "abc") NEXT, "POST / [abc]; GET /next; -> 200 200 open"),
	ROW(POST("Content-Length: \t3\t", "abc") NEXT, "POST / [abc]; GET /next; -> 200 200 open"),
	ROW(POST("Content-Length: 3", "ab"), "-> open"),
	ROW(POST("Content-Length: 9223372036854775807", "ab"), "-> open"),
	ROW(POST("Content-Length:", ""), REFUSED),
	ROW(POST("Content-Length: 0x3", "abc"), REFUSED),
	ROW(POST("Content-Length: 3,3", "abc"), REFUSED),
	ROW(POST("Content-Length: 3, 3", "abc"), REFUSED),
	ROW(POST("Content-Length: 3;a", "abc"), REFUSED),
	ROW(POST("Content-Length: 3 3", "abc"), REFUSED),
	ROW(POST("Content-Length: 3.0", "abc"), REFUSED),
	ROW(POST("Content-Length: -1", "abc"), REFUSED),
	ROW(POST("Content-Length: a", "abc"), REFUSED),
	ROW("GET / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc" NEXT, "GET / [abc]; GET /next; -> 200 200 open"),
	ROW("PUT / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc" NEXT, "PUT / [abc]; GET /next; -> 200 200 open"),

	/* Transfer codings. */
	ROW(CHUNKED("3\r\nabc\r\n0\r\n\r\n") NEXT, "POST / [abc]; GET /next; -> 200 200 open"),
	ROW(POST("Transfer-Encoding: ChunKED", "3\r\nabc\r\n0\r\n\r\n"), "POST / [abc]; -> 200 open"),
	ROW(POST("Transfer-Encoding:  \tchunked \t", "3\r\nabc\r\n0\r\n\r\n"), "POST / [abc]; -> 200 open"),
	ROW(POST("Transfer-Encoding: gzip, chunked", "3\r\nabc\r\n0\r\n\r\n"), "POST / [abc]; -> 200 open"),
	ROW(POST("Transfer-Encoding: gzip ,\tchunked", "3\r\nabc\r\n0\r\n\r\n"), "POST / [abc]; -> 200 open"),
	ROW(POST("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked", "3\r\nabc\r\n0\r\n\r\n"), "POST / [abc]; -> 200 open"),
	ROW(POST("Transfer-Encoding: chunked;q=1", "3\r\nabc\r\n0\r\n\r\n"), "POST / [abc]; -> 200 open"),
	ROW(POST("Transfer-Encoding: chunked, gzip", "3\r\nabc\r\n0\r\n\r\n"), REFUSED),
	ROW(POST("Transfer-Encoding: chunked, chunked", "3\r\nabc\r\n0\r\n\r\n"), REFUSED),
	ROW(POST("Transfer-Encoding: chunked,", "3\r\nabc\r\n0\r\n\r\n"), REFUSED),
	ROW(POST("Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip", "3\r\nabc\r\n0\r\n\r\n"), REFUSED),
	ROW(POST("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "3\r\nabc\r\n0\r\n\r\n"), REFUSED),
	ROW(POST("Transfer-Encoding: chunked\r\nContent-Length: 3", "3\r\nabc\r\n0\r\n\r\n"), REFUSED),
	ROW(POST("Content-Length: 13\r\nTransfer-Encoding: chunked", "3\r\nabc\r\n0\r\n\r\n"), REFUSED),
	ROW(POST("Content-Length: 13\r\nTransfer-Encoding: identity", "3\r\nabc\r\n0\r\n\r\n"), REFUSED),

	/* Chunks. */
	ROW(CHUNKED("0\r\n\r\n") NEXT, "POST /; GET /next; -> 200 200 open"),
	ROW(CHUNKED("1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"), "POST / [abc]; -> 200 open"),
	ROW(CHUNKED("0003\r\nabc\r\n000\r\n\r\n"), "POST / [abc]; -> 200 open"),
	ROW(CHUNKED("a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n"), "POST / [01234567890123456789]; -> 200 open"),
	ROW(CHUNKED("3 \t\r\nabc\r\n0 \r\n\r\n"), "POST / [abc]; -> 200 open"),
	ROW(CHUNKED("3 ;ext=1\r\nabc\r\n0\r\n\r\n"), "POST / [abc]; -> 200 open"),
	ROW(CHUNKED("3\r\nab"), "-> open"),
	ROW(CHUNKED("3\r\nabc\r\n"), "-> open"),
	ROW(CHUNKED("3\r\nabc\r\n0\r\n"), "-> open"),
	ROW(CHUNKED("3\r\nabc\r\n0\r\nA: b\r\nX: c\r\n\r\n") NEXT, "POST / [abc]; GET /next; -> 200 200 open"),
};

TABLE(table, rows)

/* The rows of the table where the reference is wrong. */

/* Lines. */

ROW_DIFFERENCE(connect_refused, "an error page to a CONNECT request leaves the connection open",
	"CONNECT h:80 HTTP/1.1\r\n\r\n", "-> 501 end")
ROW_DIFFERENCE(blank_before_method, "a space before the method makes it an unknown method, not a malformed line",
	" GET /a HTTP/1.1\r\n\r\n", REFUSED)
ROW_DIFFERENCE(no_method, "a first line without a method is an unknown method, not a malformed line",
	" /aaaa HTTP/1.1\r\n\r\n", REFUSED)
ROW_DIFFERENCE(carriage_return_in_target, "a request target may have a carriage return in it",
	GET("/a\rb"), REFUSED)
ROW_DIFFERENCE(carriage_return_after_method, "a carriage return may stand before a request target",
	GET("\r/a"), REFUSED)
ROW_DIFFERENCE(control_in_target, "a request target may have control characters in it",
	GET("/a\x01" "b"), REFUSED)
ROW_DIFFERENCE(tab_in_target, "a request target may have a tab in it",
	GET("/a\tb"), REFUSED)
ROW_DIFFERENCE(delete_in_target, "a request target may have the character DEL in it",
	GET("/a\x7f"), REFUSED)
ROW_DIFFERENCE(nul_after_version, "what follows a NUL after the version is ignored",
	"GET / HTTP/1.1\0x\r\n\r\n", REFUSED)
ROW_DIFFERENCE(version_with_zeros, "a version may have leading zeros",
	"GET / HTTP/01.01\r\n\r\n", REFUSED)
ROW_DIFFERENCE(version_overflows, "a minor version of 257 is taken as 1",
	"GET / HTTP/1.257\r\n\r\n", REFUSED)
ROW_DIFFERENCE(version_of_two_digits, "a version may have several digits",
	"GET / HTTP/1.10\r\n\r\n", REFUSED)
ROW_DIFFERENCE(version_negative, "a version may be negative, and is then in the reply too",
	"GET / HTTP/-1.1\r\n\r\n", REFUSED)
ROW_DIFFERENCE(version_with_sign, "a version may have a sign",
	"GET / HTTP/+1.1\r\n\r\n", REFUSED)

ROW_DIFFERENCE(body_of_no_allowed_method, "a client is told to go on with the body of a request whose method is not allowed",
	"PATCH / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n", "-> 501 end")

/* Headers. */

ROW_DIFFERENCE(blank_before_colon, "a space before the colon becomes part of the header's name",
	WITH("X : b"), REFUSED)
ROW_DIFFERENCE(tab_before_colon, "a tab before the colon becomes part of the header's name",
	WITH("X\t: b"), REFUSED)
ROW_DIFFERENCE(length_before_blank, "a Content-Length header with a space before its colon is ignored, so the body is taken as another request",
	POST("Content-Length : 22", NEXT), REFUSED)
ROW_DIFFERENCE(blank_in_name, "a header's name may have a space in it",
	WITH("X Y: b"), REFUSED)
ROW_DIFFERENCE(parentheses_in_name, "a header's name may have characters that no name may have",
	WITH("(X): b"), REFUSED)
ROW_DIFFERENCE(control_in_name, "a header's name may have control characters in it",
	WITH("X\x01: b"), REFUSED)
ROW_DIFFERENCE(high_byte_in_name, "a header's name may have bytes that are not ASCII",
	WITH("X\xe4: b"), REFUSED)
ROW_DIFFERENCE(no_name, "a header may have no name",
	WITH(": b"), REFUSED)
ROW_DIFFERENCE(nul_in_value, "a header's value is truncated at a NUL",
	WITH("X: a\0b"), REFUSED)
ROW_DIFFERENCE(nul_at_start_of_line, "a header line that begins with a NUL ends the headers",
	WITH("X: a\r\n\0Y: b"), REFUSED)
ROW_DIFFERENCE(nul_in_fold, "a folded line of a header is truncated at a NUL",
	WITH("X: a\r\n b\0c"), REFUSED)
ROW_DIFFERENCE(carriage_return_in_fold, "a folded line of a header may have a carriage return in it",
	WITH("X: a\r\n b\rc"), REFUSED)
ROW_DIFFERENCE(tab_before_value, "a tab in front of a header's value becomes part of it",
	WITH("X:\t b"), "GET / X=[b]; -> 200 open")
ROW_DIFFERENCE(two_hosts, "a request may have two Host headers",
	"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", REFUSED)
ROW_DIFFERENCE(two_hosts_and_a_body, "a request may have two Host headers",
	POST("Host: a\r\nContent-Length: 3\r\nHost: b", "abc"), REFUSED)
ROW_DIFFERENCE(folded_host, "a Host header may be folded over two lines",
	"GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", REFUSED)
ROW_DIFFERENCE(folded_length, "a Content-Length header may be folded over two lines",
	POST("Content-Length:\r\n 3", "abc"), REFUSED)
ROW_DIFFERENCE(folded_transfer_encoding, "a Transfer-Encoding header may be folded over two lines",
	POST("Transfer-Encoding:\r\n chunked", "0\r\n\r\n"), REFUSED)

/* Paths. */

static void
not_wanted(struct evhttp_request *req, void *arg)
{
	see("the wrong callback; ");
	note_and_reply(req, arg);
}

DIFFERENCE(nul_in_path, ONE_BACKEND, "a path with an encoded NUL is handled by the callback of the path before it")
{
	static const struct row row = ROW(GET("/known%00x"), "GET /known%00x; -> 200 open");

	start_server();
	evhttp_set_cb(http, "/known", not_wanted, NULL);
	CHECK(is_right_in_every_way(&row));
	stop_server();
}

/* The length of a body. */

ROW_DIFFERENCE(length_with_plus, "a Content-Length may have a sign",
	POST("Content-Length: +3", "abc"), REFUSED)
ROW_DIFFERENCE(length_minus_zero, "a Content-Length may be minus zero",
	POST("Content-Length: -0", ""), REFUSED)
ROW_DIFFERENCE(length_too_large, "a Content-Length of more than 63 bits is taken as the largest number",
	POST("Content-Length: 9223372036854775808", ""), REFUSED)
ROW_DIFFERENCE(length_far_too_large, "a Content-Length of more than 64 bits is taken as the largest number",
	POST("Content-Length: 99999999999999999999999999", ""), REFUSED)
ROW_DIFFERENCE(two_lengths, "a request may have two Content-Length headers that differ",
	POST("Content-Length: 0\r\nContent-Length: 22", NEXT), REFUSED)
ROW_DIFFERENCE(two_equal_lengths, "a request may have two Content-Length headers",
	POST("Content-Length: 3\r\nContent-Length: 3", "abc"), REFUSED)

/* Transfer codings. */

ROW_DIFFERENCE(chunked_and_more, "a Transfer-Encoding of \"chunked x\" is taken as chunked",
	POST("Transfer-Encoding: chunked x", "0\r\n\r\n"), REFUSED)
ROW_DIFFERENCE(gzip_only, "a request body with an unknown transfer coding becomes the next request",
	POST("Transfer-Encoding: gzip", NEXT), REFUSED)
ROW_DIFFERENCE(identity, "a request body with the transfer coding \"identity\" becomes the next request",
	POST("Transfer-Encoding: identity", NEXT), REFUSED)
ROW_DIFFERENCE(xchunked, "a request body with the transfer coding \"xchunked\" becomes the next request",
	POST("Transfer-Encoding: xchunked", NEXT), REFUSED)
ROW_DIFFERENCE(empty_coding, "a request body with an empty transfer coding becomes the next request",
	POST("Transfer-Encoding:", NEXT), REFUSED)
ROW_DIFFERENCE(chunked_in_1_0, "a connection stays open after a chunked request of HTTP/1.0, which knows no chunks",
	"POST / HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "POST /; -> 200 end")

/* Chunks. */

ROW_DIFFERENCE(chunk_size_0x, "the chunk size may begin with 0x",
	CHUNKED("0x3\r\nabc\r\n0\r\n\r\n"), REFUSED)
ROW_DIFFERENCE(chunk_size_capital_0x, "the chunk size may begin with 0X",
	CHUNKED("0X3\r\nabc\r\n0\r\n\r\n"), REFUSED)
ROW_DIFFERENCE(chunk_size_with_plus, "the chunk size may have a sign",
	CHUNKED("+3\r\nabc\r\n0\r\n\r\n"), REFUSED)
ROW_DIFFERENCE(chunk_size_minus_zero, "the chunk size may be minus zero",
	CHUNKED("3\r\nabc\r\n-0\r\n\r\n"), REFUSED)
ROW_DIFFERENCE(chunk_size_negative, "a negative chunk size is answered with 413",
	CHUNKED("-3\r\nabc\r\n0\r\n\r\n"), REFUSED)
ROW_DIFFERENCE(blank_before_chunk_size, "spaces may stand before the chunk size",
	CHUNKED(" 3\r\nabc\r\n0\r\n\r\n"), REFUSED)
ROW_DIFFERENCE(tab_before_chunk_size, "tabs may stand before the chunk size",
	CHUNKED("\t3\r\nabc\r\n0\r\n\r\n"), REFUSED)
ROW_DIFFERENCE(nul_after_chunk_size, "what follows a NUL after the chunk size is ignored",
	CHUNKED("3\0x\r\nabc\r\n0\r\n\r\n"), REFUSED)
ROW_DIFFERENCE(chunk_size_too_large, "a chunk size of more than 63 bits is taken as the largest number",
	CHUNKED("8000000000000000\r\nabc"), REFUSED)
ROW_DIFFERENCE(chunk_size_far_too_large, "a chunk size of more than 64 bits is taken as the largest number",
	CHUNKED("fffffffffffffffffffffffff\r\nabc"), REFUSED)
ROW_DIFFERENCE(chunk_extension, "a chunk extension is refused",
	CHUNKED("3;ext\r\nabc\r\n0;a=\"b\"\r\n\r\n"), "POST / [abc]; -> 200 open")
ROW_DIFFERENCE(chunk_size_and_junk, "anything may follow a space after the chunk size",
	CHUNKED("3 junk\r\nabc\r\n0\r\n\r\n"), REFUSED)
ROW_DIFFERENCE(chunk_size_no_number, "a chunk size that is no number is answered with 413",
	CHUNKED("xyz\r\nabc\r\n0\r\n\r\n"), REFUSED)
ROW_DIFFERENCE(carriage_return_in_chunk_size, "the line with a chunk size may have a carriage return in it",
	CHUNKED("3 \rx\r\nabc\r\n0\r\n\r\n"), REFUSED)
ROW_DIFFERENCE(empty_line_before_chunks, "empty lines may stand before the first chunk",
	CHUNKED("\r\n3\r\nabc\r\n0\r\n\r\n"), REFUSED)
ROW_DIFFERENCE(empty_lines_between_chunks, "empty lines may stand between chunks",
	CHUNKED("3\r\nabc\r\n\r\n0\r\n\r\n"), REFUSED)
ROW_DIFFERENCE(nothing_after_chunk, "the data of a chunk may end without a line end",
	CHUNKED("3\r\nabc0\r\n\r\n"), REFUSED)
ROW_DIFFERENCE(line_feed_after_chunk_size, "the line with a chunk size may end with LF alone",
	CHUNKED("3\nabc\r\n0\r\n\r\n"), REFUSED)
ROW_DIFFERENCE(line_feed_after_chunk, "the data of a chunk may end with LF alone",
	CHUNKED("3\r\nabc\n0\r\n\r\n"), REFUSED)
ROW_DIFFERENCE(line_feed_after_last_chunk, "the line of the last chunk may end with LF alone",
	CHUNKED("3\r\nabc\r\n0\n\r\n"), REFUSED)
ROW_DIFFERENCE(trailer_without_colon, "a malformed trailer is answered with 413",
	CHUNKED("3\r\nabc\r\n0\r\nX\r\n\r\n"), REFUSED)
ROW_DIFFERENCE(trailer_that_begins_folded, "a malformed trailer is answered with 413",
	CHUNKED("3\r\nabc\r\n0\r\n X: y\r\n\r\n"), REFUSED)
ROW_DIFFERENCE(trailer_with_blank_before_colon, "a trailer may have a space before its colon",
	CHUNKED("3\r\nabc\r\n0\r\nX : y\r\n\r\n"), REFUSED)

/* A body that a method does not have may be read or refused: what it is made of is no request. */
static void
check_nothing_is_smuggled(const char *bytes)
{
	int cut, length = (int)strlen(bytes);

	start_server();
	evhttp_set_allowed_methods(http, 0xffff);
	for (cut = BYTE_BY_BYTE; cut < length; cut++) {
		outcome(bytes, (size_t)length, cut);
		CHECK(!strstr(seen, "GET /smuggled; "));
		CHECK(!strstr(seen, "open") || strstr(seen, "200"));
	}
	stop_server();
}

#define SMUGGLED "GET /smuggled HTTP/1.1\r\n\r\n"

DIFFERENCE(body_of_head, ONE_BACKEND, "the body of a HEAD request becomes the next request")
{
	check_nothing_is_smuggled("HEAD / HTTP/1.1\r\nContent-Length: 26\r\n\r\n" SMUGGLED);
}

DIFFERENCE(body_of_trace, ONE_BACKEND, "the body of a TRACE request becomes the next request")
{
	check_nothing_is_smuggled("TRACE / HTTP/1.1\r\nContent-Length: 26\r\n\r\n" SMUGGLED);
}

DIFFERENCE(body_of_unknown_method, ONE_BACKEND, "the body of a request with an unknown method becomes the next request")
{
	check_nothing_is_smuggled("FOO /aa HTTP/1.1\r\nContent-Length: 26\r\n\r\n" SMUGGLED);
}

CASE(chunks_of_head, ONE_BACKEND)
{
	check_nothing_is_smuggled("HEAD / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1a\r\n" SMUGGLED "\r\n0\r\n\r\n");
}
