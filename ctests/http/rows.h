/* Tables of byte streams, each with its expected outcome. Each stream is also sent in two parts, for every
 * place of the cut, and byte by byte: what happens may not depend on how it is divided.
 *
 * Whoever includes this defines OUTCOME(row, cut), START() and STOP(). */
#ifndef CTESTS_HTTP_ROWS_H
#define CTESTS_HTTP_ROWS_H

struct row {
	enum evhttp_cmd_type method; /* of the request that is replied to */
	const char *bytes;
	size_t length;
	const char *wanted;
};

#define ROW_OF(method, bytes, wanted) {EVHTTP_REQ_##method, bytes, sizeof(bytes) - 1, wanted}
#define ROW(bytes, wanted) ROW_OF(GET, bytes, wanted)

/* Whether a row has the wanted outcome. */
static int
is_right(const struct row *row, int cut)
{
	const char *what = OUTCOME(row, cut);

	if (strcmp(what, row->wanted) == 0)
		return 1;
	printf("%s\ncut %d: %s, wanted: %s\n", row->bytes, cut, what, row->wanted);
	return 0;
}

/* The same however it is divided. */
static int
is_right_in_every_way(const struct row *row)
{
	int cut, right = is_right(row, WHOLE) && is_right(row, BYTE_BY_BYTE);

	for (cut = 1; right && cut < (int)row->length; cut++)
		right = is_right(row, cut);
	return right;
}

/* A case for all rows of an array. */
#define TABLE(id, rows)                                                        \
	CASE(id, ONE_BACKEND)                                                  \
	{                                                                      \
		int wrong = 0;                                                 \
                                                                               \
		START();                                                       \
		for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)      \
			wrong += !is_right_in_every_way(&rows[i]);             \
		STOP();                                                        \
		CHECK_EQUAL(wrong, 0);                                         \
	}

/* A row where the reference is wrong. */
#define ROW_DIFFERENCE(id, reason, bytes, wanted)                              \
	DIFFERENCE(id, ONE_BACKEND, reason)                                    \
	{                                                                      \
		static const struct row row = ROW(bytes, wanted);              \
                                                                               \
		START();                                                       \
		CHECK(is_right_in_every_way(&row));                            \
		STOP();                                                        \
	}

#endif
