/* What a client accepts and refuses, as a table of byte streams that a server sends before it closes the
 * connection. */
#include "client_tools.h"

#define OUTCOME(row, cut) reply_outcome((row)->method, (row)->bytes, (row)->length, cut)
#define START() start_peer()
#define STOP() stop_peer()
#include "rows.h"

#define REFUSED "invalid; no reply; "
#define ENDED "eof; no reply; "
#define ABC "200 [OK] [abc]; "

#define OK(headers, body) "HTTP/1.1 200 OK\r\n" headers "\r\n\r\n" body
#define CHUNKED(rest) OK("Transfer-Encoding: chunked", rest)
#define STATUS(line) "HTTP/1.1 " line "\r\nContent-Length: 0\r\n\r\n"
#define WITH(line) OK("Content-Length: 0\r\n" line, "")

static const struct row rows[] = {
	/* The first line. */
	ROW(STATUS("200 OK"), "200 [OK]; "),
	ROW("HTTP/1.1 200 OK\nContent-Length: 3\n\nabc", ABC),
	ROW(STATUS("200"), "200 []; "),
	ROW(STATUS("200 "), "200 []; "),
	ROW(STATUS("200 a  b"), "200 [a  b]; "),
	ROW(STATUS("200  a"), "200 [ a]; "),
	ROW(STATUS("999 X"), "999 [X]; "),
	ROW(STATUS("100 Continue") STATUS("200 OK"), "200 [OK]; "),
	ROW("HTTP/1.1 100 Continue\r\n\r\n" STATUS("200 OK"), "200 [OK]; "),
	ROW("HTTP/1.1 101 Switching Protocols\r\n\r\nabc", "101 [Switching Protocols]; "),
	ROW("HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc", ABC),
	ROW("HTTP/1.2 200 OK\r\nContent-Length: 3\r\n\r\nabc", ABC),
	ROW("HTTP/0.9 200 OK\r\nContent-Length: 3\r\n\r\nabc", ABC),
	ROW("HTTP/2.0 200 OK\r\n\r\n", REFUSED),
	ROW("HTTP/1.1\r\n\r\n", REFUSED),
	ROW("HTTP/1.1  200 OK\r\n\r\n", REFUSED),
	ROW("HTTP/1.1 0 OK\r\n\r\n", REFUSED),
	ROW("HTTP/1.1 000 OK\r\n\r\n", REFUSED),
	ROW("HTTP/1.1 abc OK\r\n\r\n", REFUSED),
	ROW("HTTX/1.1 200 OK\r\n\r\n", REFUSED),
	ROW("http/1.1 200 OK\r\n\r\n", REFUSED),
	ROW("ICY 200 OK\r\n\r\n", REFUSED),
	ROW("GET / HTTP/1.1\r\n\r\n", REFUSED),
	ROW("\r\nHTTP/1.1 200 OK\r\n\r\n", REFUSED),
	ROW("", ENDED),
	ROW("H", ENDED),
	ROW("HTTP/1.1 200 OK\r\n", ENDED),
	ROW("HTTP/1.1 200 OK\r\nX: y\r\n", ENDED),

	/* Headers. */
	ROW(WITH("X: b"), "200 [OK] X=[b]; "),
	ROW(WITH("X:b \t"), "200 [OK] X=[b]; "),
	ROW(WITH("X: \x01\xe4"), "200 [OK] X=[\\x01\\xe4]; "),
	ROW(WITH("X: a\r\n b\r\n\tc"), "200 [OK] X=[a b c]; "),
	ROW(WITH("A B: c\r\nX: y"), "200 [OK] X=[y]; "),
	ROW(WITH("(x): c\r\nX: y"), "200 [OK] X=[y]; "),
	ROW(WITH("\xe4: c\r\nX: y"), "200 [OK] X=[y]; "),
	ROW(WITH("X: 1\r\nX: 2"), "200 [OK] X=[1]; "),
	ROW(WITH("X"), REFUSED),
	ROW(WITH("X: a\rb"), REFUSED),
	ROW(WITH("X\0: b"), REFUSED),
	ROW("HTTP/1.1 200 OK\r\n X: b\r\n\r\n", REFUSED),

	/* The length of a body. */
	ROW(OK("Content-Length: 3", "abc"), ABC),
	ROW(OK("Content-Length: 3", "abcdef"), ABC),
	ROW(OK("Content-Length: 003 ", "abc"), ABC),
	ROW(OK("Content-Length: 3", "ab"), ENDED),
	ROW(OK("Content-Length: 9223372036854775807", "ab"), ENDED),
	ROW(OK("Content-Length: 0x3", "abc"), REFUSED),
	ROW(OK("Content-Length: 3,3", "abc"), REFUSED),
	ROW(OK("Content-Length: 3;a", "abc"), REFUSED),
	ROW(OK("Content-Length: -1", "abc"), REFUSED),
	ROW(OK("Content-Length:", "abc"), REFUSED),
	ROW(OK("Y: z", "abc"), ABC),
	ROW("HTTP/1.0 200 OK\r\n\r\nabc", ABC),
	ROW(OK("Connection: close", "abc"), ABC),
	ROW(OK("Connection: close", ""), "200 [OK]; "),
	ROW("HTTP/1.1 204 OK\r\n\r\nabc", "204 [OK]; "),
	ROW("HTTP/1.1 204 OK\r\nContent-Length: 3\r\n\r\nabc", "204 [OK]; "),
	ROW("HTTP/1.1 304 OK\r\nContent-Length: 3\r\n\r\nabc", "304 [OK]; "),
	ROW("HTTP/1.1 304 OK\r\nTransfer-Encoding: chunked\r\n\r\nabc", "304 [OK]; "),
	ROW_OF(HEAD, OK("Content-Length: 3", ""), "200 [OK]; "),
	ROW_OF(HEAD, OK("Transfer-Encoding: chunked", ""), "200 [OK]; "),
	ROW_OF(HEAD, OK("X: y", ""), "200 [OK] X=[y]; "),
	ROW_OF(CONNECT, OK("Content-Length: 3", "abc"), "200 [OK]; "),
	ROW_OF(POST, OK("Content-Length: 3", "abc"), ABC),

	/* Transfer codings. */
	ROW(CHUNKED("3\r\nabc\r\n0\r\n\r\n"), ABC),
	ROW(CHUNKED("1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"), ABC),
	ROW(OK("Transfer-Encoding: CHUNKED", "3\r\nabc\r\n0\r\n\r\n"), ABC),
	ROW(OK("Transfer-Encoding: gzip, chunked", "3\r\nabc\r\n0\r\n\r\n"), ABC),
	ROW(OK("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked", "3\r\nabc\r\n0\r\n\r\n"), ABC),
	ROW(OK("Transfer-Encoding: chunked;q=1", "3\r\nabc\r\n0\r\n\r\n"), ABC),
	ROW(OK("Transfer-Encoding: gzip", "abc"), ABC),
	ROW(OK("Transfer-Encoding: identity", "abc"), ABC),
	ROW(OK("Transfer-Encoding: xchunked", "abc"), ABC),
	ROW(OK("Transfer-Encoding: chunked, gzip", "0\r\n\r\n"), REFUSED),
	ROW(OK("Transfer-Encoding: chunked, chunked", "0\r\n\r\n"), REFUSED),
	ROW(OK("Transfer-Encoding: chunked,", "0\r\n\r\n"), REFUSED),
	ROW(OK("Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip", "0\r\n\r\n"), REFUSED),
	ROW(OK("Transfer-Encoding: chunked\r\nContent-Length: 3", "3\r\nabc\r\n0\r\n\r\n"), REFUSED),
	ROW(OK("Content-Length: 3\r\nTransfer-Encoding: identity", "abc"), REFUSED),

	/* Chunks. */
	ROW(CHUNKED("0003\r\nabc\r\n000\r\n\r\n"), ABC),
	ROW(CHUNKED("A \t\r\n0123456789\r\n0 \r\n\r\n"), "200 [OK] [0123456789]; "),
	ROW(CHUNKED("3\r\nabc\r\n0\r\nX: y\r\n\r\n"), ABC),
	ROW(CHUNKED("3\r\nab"), ENDED),
	ROW(CHUNKED("3\r\nabc\r\n"), ENDED),
	ROW(CHUNKED("3\r\nabc\r\n0\r\n"), ENDED),
	ROW(CHUNKED("3"), ENDED),
};

TABLE(table, rows)

/* The rows of the table where the reference is wrong. */

/* The first line. */

ROW_DIFFERENCE(status_of_two_digits, "a client takes a status of \"20x\" as 20",
	STATUS("20x OK"), REFUSED)
ROW_DIFFERENCE(status_negative, "a client accepts a negative status",
	STATUS("-5 OK"), REFUSED)
ROW_DIFFERENCE(status_of_five_digits, "a client accepts a status of five digits",
	STATUS("99999 OK"), REFUSED)
ROW_DIFFERENCE(status_short, "a client accepts a status of two digits",
	STATUS("20 OK"), REFUSED)
ROW_DIFFERENCE(status_overflows, "a client accepts a status of any length",
	STATUS("4294967496 OK"), REFUSED)
ROW_DIFFERENCE(nul_in_reason, "a client truncates the reason of a reply at a NUL",
	STATUS("200 O\0K"), REFUSED)
ROW_DIFFERENCE(carriage_return_in_reason, "a client accepts a carriage return in the reason of a reply",
	STATUS("200 O\rK"), REFUSED)
ROW_DIFFERENCE(version_with_zeros, "a client accepts a version with leading zeros",
	"HTTP/01.01 200 OK\r\nContent-Length: 0\r\n\r\n", REFUSED)
ROW_DIFFERENCE(version_overflows, "a client takes a minor version of 257 as 1",
	"HTTP/1.257 200 OK\r\nContent-Length: 0\r\n\r\n", REFUSED)
ROW_DIFFERENCE(version_with_sign, "a client accepts a version with a sign",
	"HTTP/+1.1 200 OK\r\nContent-Length: 0\r\n\r\n", REFUSED)
ROW_DIFFERENCE(other_interim_reply, "a client takes a reply with the status 103 as the final one",
	"HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n" OK("Content-Length: 3", "abc"), ABC)
ROW_DIFFERENCE(headers_of_interim_reply, "headers of a reply with the status 100 appear among those of the reply after it",
	"HTTP/1.1 100 Continue\r\nX: y\r\n\r\n" OK("Content-Length: 3", "abc"), ABC)

/* Headers. */

ROW_DIFFERENCE(blank_before_colon, "a client takes a space before the colon as part of the header's name",
	WITH("X : b"), "200 [OK] X=[b]; ")
ROW_DIFFERENCE(length_before_blank, "a client does not see a Content-Length with a space before its colon",
	OK("Content-Length : 3", "abcdef"), ABC)
ROW_DIFFERENCE(control_in_name, "a client accepts a header whose name has control characters in it",
	WITH("A\x01: b"), REFUSED)
ROW_DIFFERENCE(no_name, "a client accepts a header without a name",
	WITH(": b"), REFUSED)
ROW_DIFFERENCE(nul_in_value, "a client truncates a header's value at a NUL",
	WITH("X: a\0b"), REFUSED)
ROW_DIFFERENCE(nul_at_start_of_line, "a client takes a header line that begins with a NUL as the end of the headers",
	WITH("X: a\r\n\0Y: b"), REFUSED)
ROW_DIFFERENCE(carriage_return_in_fold, "a client accepts a carriage return in a folded line of a header",
	WITH("X: a\r\n b\rc"), REFUSED)
ROW_DIFFERENCE(tab_before_value, "a client takes a tab in front of a header's value as part of it",
	WITH("X:\t b"), "200 [OK] X=[b]; ")
ROW_DIFFERENCE(folded_length, "a client accepts a Content-Length header that is folded over two lines",
	OK("Content-Length:\r\n 3", "abc"), REFUSED)

ROW_DIFFERENCE(folded_coding, "a client accepts a Transfer-Encoding header that is folded over two lines",
	OK("Transfer-Encoding:\r\n chunked", "3\r\nabc\r\n0\r\n\r\n"), REFUSED)

/* Bodies. */

ROW_DIFFERENCE(no_length_but_keep_alive, "a client takes the body of a reply without length as empty when there is a Connection header",
	OK("Connection: keep-alive", "abc"), ABC)
ROW_DIFFERENCE(coding_and_keep_alive, "a client takes the body of a reply with an unknown coding as empty when there is a Connection header",
	OK("Connection: keep-alive\r\nTransfer-Encoding: gzip", "abc"), ABC)
ROW_DIFFERENCE(length_with_plus, "a client accepts a Content-Length with a sign",
	OK("Content-Length: +3", "abc"), REFUSED)
ROW_DIFFERENCE(length_minus_zero, "a client accepts a Content-Length of minus zero",
	OK("Content-Length: -0", ""), REFUSED)
ROW_DIFFERENCE(length_far_too_large, "a client takes a Content-Length of more than 64 bits as the largest number",
	OK("Content-Length: 99999999999999999999999999", "abc"), REFUSED)
ROW_DIFFERENCE(length_too_large, "a client takes a Content-Length of more than 63 bits as the largest number",
	OK("Content-Length: 9223372036854775808", "abc"), REFUSED)
ROW_DIFFERENCE(two_lengths, "a client accepts two Content-Length headers that differ",
	OK("Content-Length: 3\r\nContent-Length: 6", "abcdef"), REFUSED)
ROW_DIFFERENCE(two_equal_lengths, "a client accepts two Content-Length headers",
	OK("Content-Length: 3\r\nContent-Length: 3", "abc"), REFUSED)
ROW_DIFFERENCE(chunked_and_more, "a client takes a Transfer-Encoding of \"chunked x\" as chunked",
	OK("Transfer-Encoding: chunked x", "0\r\n\r\n"), REFUSED)

/* Chunks. */

ROW_DIFFERENCE(chunk_size_0x, "a client accepts a chunk size that begins with 0x",
	CHUNKED("0x3\r\nabc\r\n0\r\n\r\n"), REFUSED)
ROW_DIFFERENCE(chunk_size_capital_0x, "a client accepts a chunk size that begins with 0X",
	CHUNKED("0X3\r\nabc\r\n0\r\n\r\n"), REFUSED)
ROW_DIFFERENCE(chunk_size_negative, "a client says that a body is too long when the chunk size is negative",
	CHUNKED("-3\r\nabc\r\n0\r\n\r\n"), REFUSED)
ROW_DIFFERENCE(tab_before_chunk_size, "a client accepts tabs before the chunk size",
	CHUNKED("\t3\r\nabc\r\n0\r\n\r\n"), REFUSED)
ROW_DIFFERENCE(chunk_size_far_too_large, "a client takes a chunk size of more than 64 bits as the largest number",
	CHUNKED("fffffffffffffffffffffffff\r\nabc"), REFUSED)
ROW_DIFFERENCE(carriage_return_in_chunk_size, "a client accepts a carriage return in the line with a chunk size",
	CHUNKED("3 \rx\r\nabc\r\n0\r\n\r\n"), REFUSED)
ROW_DIFFERENCE(chunk_size_with_plus, "a client accepts a chunk size with a sign",
	CHUNKED("+3\r\nabc\r\n0\r\n\r\n"), REFUSED)
ROW_DIFFERENCE(chunk_size_minus_zero, "a client accepts a chunk size of minus zero",
	CHUNKED("3\r\nabc\r\n-0\r\n\r\n"), REFUSED)
ROW_DIFFERENCE(nul_after_chunk_size, "a client ignores what follows a NUL after the chunk size",
	CHUNKED("3\0x\r\nabc\r\n0\r\n\r\n"), REFUSED)
ROW_DIFFERENCE(line_feed_after_last_chunk, "a client accepts LF alone after the size of the last chunk",
	CHUNKED("3\r\nabc\r\n0\n\r\n"), REFUSED)
ROW_DIFFERENCE(blank_before_chunk_size, "a client accepts spaces before the chunk size",
	CHUNKED(" 3\r\nabc\r\n0\r\n\r\n"), REFUSED)
ROW_DIFFERENCE(chunk_size_too_large, "a client takes a chunk size of more than 63 bits as the largest number",
	CHUNKED("8000000000000000\r\nabc"), REFUSED)
ROW_DIFFERENCE(chunk_extension, "a client refuses a chunk extension",
	CHUNKED("3;ext\r\nabc\r\n0\r\n\r\n"), ABC)
ROW_DIFFERENCE(chunk_size_and_junk, "a client accepts anything after a space after the chunk size",
	CHUNKED("3 junk\r\nabc\r\n0\r\n\r\n"), REFUSED)
ROW_DIFFERENCE(chunk_size_no_number, "a client says that a body is too long when the chunk size is no number",
	CHUNKED("xyz\r\nabc\r\n0\r\n\r\n"), REFUSED)
ROW_DIFFERENCE(empty_line_before_chunks, "a client accepts empty lines before the first chunk",
	CHUNKED("\r\n3\r\nabc\r\n0\r\n\r\n"), REFUSED)
ROW_DIFFERENCE(empty_lines_between_chunks, "a client accepts empty lines between chunks",
	CHUNKED("3\r\nabc\r\n\r\n0\r\n\r\n"), REFUSED)
ROW_DIFFERENCE(nothing_after_chunk, "a client accepts the data of a chunk without a line end after it",
	CHUNKED("3\r\nabc0\r\n\r\n"), REFUSED)
ROW_DIFFERENCE(line_feed_after_chunk_size, "a client accepts LF alone after the chunk size",
	CHUNKED("3\nabc\r\n0\r\n\r\n"), REFUSED)
ROW_DIFFERENCE(line_feed_after_chunk, "a client accepts LF alone after the data of a chunk",
	CHUNKED("3\r\nabc\n0\r\n\r\n"), REFUSED)
ROW_DIFFERENCE(malformed_trailer, "a client says that a body is too long when a trailer is malformed",
	CHUNKED("3\r\nabc\r\n0\r\nX\r\n\r\n"), REFUSED)
