#!/usr/bin/env python3
"""Generates C code from message definitions, for the remote calls of event2/rpc.h.

The manual page, event_rpcgen.py(1), describes the definitions and the generated code. This file has, from the
top: reading definitions; the code for each kind of entry; the code for a structure; the two output files. The
constants in capitals are C templates in which the words STRUCT, ENTRY, TAG, TYPE and OTHER are replaced. It is
a single file, so that it can be copied into the tree of a program.
"""
import argparse
import os
import re
import sys
import tempfile


class Mistake(Exception):
    """Something in the definitions, or a file that cannot be read or written."""


# --- Reading definitions -----------------------------------------------------------------------

BLANKS = " \t\r\f\v"
IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
ENTRY_FORM = "'[optional] [array] TYPE NAME = TAG;'"
OUTSIDE_FORM = "'struct NAME {', '#include', '#define', '#if', '#ifdef' or '#endif'"
TYPES = "int, int64, string, bytes or struct[NAME]"
KEYWORDS = set("auto break case char const continue default do double else enum extern float for goto if int long "
               "register return short signed sizeof static struct switch typedef union unsigned void volatile "
               "while".split())
HIGHEST_TAG = 0xffffffff


class Line:
    """A line of the file, without comments and spare blanks, and as it was for messages."""

    def __init__(self, file, number, text, original):
        self.file, self.number, self.text, self.original = file, number, text, original

    def mistake(self, what):
        return Mistake(f"{self.file}:{self.number}: {what}\n    {self.original.strip(BLANKS)}")


def read_lines(path):
    """The lines of a file without their comments. Any byte is a character here, and stays itself."""
    try:
        with open(path, encoding="latin-1", newline="") as file:
            originals = file.read().split("\n")
    except OSError as problem:
        raise Mistake(f"{path}: {problem.strerror}") from None
    lines, opened = [], None
    for number, original in enumerate(originals, 1):
        text, rest = "", original
        while rest:
            if opened:
                _, end, rest = rest.partition("*/")
                opened = None if end else opened
                continue
            before, mark, rest = re.match(r"(.*?)(//|/\*|\Z)(.*)\Z", rest, re.DOTALL).groups()
            text += before + (" " if mark else "")
            if mark == "//":
                break
            if mark == "/*":
                opened = Line(path, number, text, original)
        lines.append(Line(path, number, re.sub(f"[{BLANKS}]+", " ", text).strip(" "), original))
    if opened:
        raise opened.mistake("a comment begins here and does not end: expected '*/'")
    return lines


class Definitions:
    """What a file defines."""

    def __init__(self, path):
        self.path = path
        self.includes = []  # copied into the C file
        self.defines = []   # copied into the header
        self.structures = []
        lines = iter(read_lines(path))
        for line in lines:
            if line.text:
                self.read_line(line, lines)
        self.refuse_equal_names()

    def read_line(self, line, lines):
        """Understands a line outside of a structure; reads on when it opens one."""
        if re.match(r'#include ?("[^"]+"|<[^>]+>)\Z', line.text) or re.match(r"#(if|ifdef) .|#endif\b", line.text):
            self.includes.append(line.text)
        elif re.match(r"#define .", line.text):
            self.defines.append(line.text)
        elif line.text.startswith("#"):
            raise line.mistake(f"unknown directive: expected {OUTSIDE_FORM}")
        elif re.match(r"struct [^ {]+ \{\Z", line.text):
            name = line.text.split(" ")[1]
            check_name(line, name, "a structure")
            self.structures.append(Structure(name, line, read_body(line, lines)))
        else:
            raise line.mistake(f"missing struct: expected {OUTSIDE_FORM}")

    def refuse_equal_names(self):
        """No two things in the generated code have the same name."""
        owners = {}
        for structure in self.structures:
            for line, owner, name in structure.names():
                first = owners.setdefault(name, (line, owner))
                if first[1] != owner:
                    raise line.mistake(f"{owner} and {first[1]} (line {first[0].number}) would both be called {name} "
                                       "in C: expected another name")


def check_name(line, name, what):
    if not IDENTIFIER.match(name) or name in KEYWORDS:
        raise line.mistake(f"'{name}' cannot name {what}: expected an identifier of C")


def read_body(opening, lines):
    """The entries of a structure, each with its first line, up to the closing brace."""
    entries, text, first = [], "", None
    for line in lines:
        body, brace, behind = line.text.partition("}")
        if behind:
            raise line.mistake(f"'{behind.strip()}' behind the end of a structure: expected nothing after '}}'")
        pieces = body.split(";")
        for index, piece in enumerate(pieces):
            if piece.strip():
                text, first = f"{text} {piece}".strip(), first or line
            if (index < len(pieces) - 1 or brace) and text:
                entries.append((first, re.sub(" +", " ", text)))
                text, first = "", None
        if brace:
            return entries
    raise opening.mistake("this structure does not end: expected '}'")


def read_entry(line, text):
    """One entry of a structure."""
    form = re.match(r"(?P<words>[^=]*?) ?(?P<length>\[[^ ]*\])? ?= ?(?P<tag>\S+)\Z", text)
    words = form.group("words").split(" ") if form else []
    if len(words) < 2:
        raise line.mistake(f"'{text}' is no entry: expected {ENTRY_FORM}")
    *labels, kind, name = words
    # The brackets of bytes[4] belong to the entry, but those of struct[other] to the type.
    length = form.group("length")
    check_name(line, name, "an entry")
    for label in labels:
        if label not in ("optional", "array") or labels.count(label) > 1:
            raise line.mistake(f"'{label}' in front of '{kind}': expected 'optional' or 'array', once")
    if len(labels) > 1:
        raise line.mistake("'optional' and 'array' together: expected one of them; an array may always be empty")
    if length is not None and kind != "bytes":
        raise line.mistake(f"'{name}' has a length: expected it only of 'bytes'")
    entry = make_entry(line, kind, length[1:-1] if length else "", "array" in labels)
    entry.line, entry.name, entry.optional = line, name, "optional" in labels
    entry.tag = read_tag(line, form.group("tag"))
    return entry


def make_entry(line, kind, length, is_array):
    """The entry of a kind, which knows the code for it."""
    other = re.match(r"struct\[(.*)\]\Z", kind)
    if other:
        check_name(line, other.group(1), "a structure")
        return StructureArray(other.group(1)) if is_array else Substructure(other.group(1))
    if kind == "bytes" and is_array:
        raise line.mistake("an array of bytes: expected an array of int, int64, string or struct[NAME]")
    if kind == "bytes":
        return FixedBytes(length) if length else Bytes()
    kinds = {"int": ("ev_uint32_t", "int"), "int64": ("ev_uint64_t", "int64")}
    if kind in kinds:
        return IntegerArray(*kinds[kind]) if is_array else Integer(*kinds[kind])
    if kind == "string":
        return StringArray() if is_array else String()
    raise line.mistake(f"unknown type '{kind}': expected {TYPES}")


def read_tag(line, text):
    if not re.match(r"(0|[1-9][0-9]*|0[xX][0-9a-fA-F]+)\Z", text):
        raise line.mistake(f"'{text}' is no tag: expected a decimal number or one that begins with 0x")
    tag = int(text, 0)
    if tag > HIGHEST_TAG:
        raise line.mistake(f"the tag {text} is too large: expected one of 32 bits")
    return tag


# --- Entries -----------------------------------------------------------------------------------


def fill(text, **words):
    """Puts what the capital words stand for into a text of C."""
    return re.sub("STRUCT|ENTRY|TAG|TYPE|OTHER|LENGTH|VERB", lambda found: words[found.group()], text)


def indent(text, depth=1):
    return "".join("\t" * depth + line + "\n" if line else "\n" for line in text.splitlines())


GET = """
int
STRUCT_ENTRY_get(struct STRUCT *msg, TYPE *value)
{
	if (msg->ENTRY_set != 1)
		return -1;
	*value = msg->ENTRY_data;
	return 0;
}
"""


class Entry:
    """What the kinds have in common. `TYPE` is the type of the entry, or of one element."""
    type = other = length = verb = ""
    is_array = False
    optional = False
    helpers = ()
    members = "TYPE ENTRY_data;"
    accessors = ()  # name, what it returns, its parameters
    code = ""       # of the accessors, and STRUCT_ENTRY_unmarshal_()
    clear = ""      # gives back what the entry owns
    marshal = ""
    copy = ""       # from `from` to `to`, which is new
    is_there = ""   # when an entry that is not optional can be written; empty: always
    inner_complete = ""

    def fill(self, text, structure):
        return fill(text, STRUCT=structure.name, ENTRY=self.name, TAG=self.enumerator(structure), TYPE=self.type,
                    OTHER=self.other, LENGTH=self.length, VERB=self.verb)

    def enumerator(self, structure):
        return f"{structure.name}_{self.name}".upper()

    def condition(self):
        """When the entry is written and copied."""
        parts = (["msg->ENTRY_set"] if self.optional or self.is_array else []) + ([self.is_there] if self.is_there else [])
        return " && ".join(parts)

    def marshal_code(self):
        condition = self.condition()
        return f"if ({condition}) {{\n{indent(self.marshal)}}}\n" if condition else self.marshal

    def copy_code(self):
        condition = self.condition().replace("msg", "from")
        if not condition:
            return self.copy
        code = f"if ({condition}) {{\n{indent(self.copy)}}}\n"
        return code if self.optional or self.is_array else f"if (!({condition}))\n\treturn -1;\n{self.copy}"

    def complete_code(self):
        required = "" if self.optional or self.is_array else "if (msg->ENTRY_set != 1)\n\treturn -1;\n"
        return required, self.inner_complete


class Integer(Entry):
    accessors = (("assign", "int ", "const TYPE"), ("get", "int ", "TYPE *"))
    code = """
int
STRUCT_ENTRY_assign(struct STRUCT *msg, const TYPE value)
{
	msg->ENTRY_data = value;
	msg->ENTRY_set = 1;
	return 0;
}
""" + GET + """
static int
STRUCT_ENTRY_unmarshal_(struct STRUCT *msg, struct evbuffer *evbuf, int nesting)
{
	(void)nesting;
	if (evtag_unmarshal_VERB(evbuf, TAG, &msg->ENTRY_data) == -1)
		return -1;
	msg->ENTRY_set = 1;
	return 0;
}
"""
    marshal = "evtag_marshal_VERB(evbuf, TAG, msg->ENTRY_data);\n"
    copy = "to->ENTRY_data = from->ENTRY_data;\nto->ENTRY_set = 1;\n"

    def __init__(self, c_type, verb):
        self.type, self.verb = c_type, verb


class FixedBytes(Entry):
    members = "ev_uint8_t ENTRY_data[LENGTH];"
    type = "ev_uint8_t *"
    accessors = (("assign", "int ", "const ev_uint8_t *"), ("get", "int ", "ev_uint8_t **"))
    code = """
int
STRUCT_ENTRY_assign(struct STRUCT *msg, const ev_uint8_t *value)
{
	memmove(msg->ENTRY_data, value, sizeof(msg->ENTRY_data));
	msg->ENTRY_set = 1;
	return 0;
}
""" + GET + """
static int
STRUCT_ENTRY_unmarshal_(struct STRUCT *msg, struct evbuffer *evbuf, int nesting)
{
	(void)nesting;
	if (evtag_unmarshal_fixed(evbuf, TAG, msg->ENTRY_data, sizeof(msg->ENTRY_data)) == -1)
		return -1;
	msg->ENTRY_set = 1;
	return 0;
}
"""
    clear = "memset(msg->ENTRY_data, 0, sizeof(msg->ENTRY_data));\n"
    marshal = "evtag_marshal(evbuf, TAG, msg->ENTRY_data, (ev_uint32_t)sizeof(msg->ENTRY_data));\n"
    copy = "memcpy(to->ENTRY_data, from->ENTRY_data, sizeof(to->ENTRY_data));\nto->ENTRY_set = 1;\n"

    def __init__(self, length):
        self.length = length


class String(Entry):
    type = "char *"
    members = "char *ENTRY_data;"
    helpers = ("copy_block", "take_payload")
    accessors = (("assign", "int ", "const char *"), ("get", "int ", "char **"))
    code = """
int
STRUCT_ENTRY_assign(struct STRUCT *msg, const char *value)
{
	char *copy = (char *)rpcgen_copy_block_(value, strlen(value) + 1);

	if (copy == NULL)
		return -1;
	free(msg->ENTRY_data);
	msg->ENTRY_data = copy;
	msg->ENTRY_set = 1;
	return 0;
}
""" + GET + """
static int
STRUCT_ENTRY_unmarshal_(struct STRUCT *msg, struct evbuffer *evbuf, int nesting)
{
	ev_uint32_t length;
	char *value = (char *)rpcgen_take_payload_(evbuf, &length);

	(void)nesting;
	if (value == NULL)
		return -1;
	free(msg->ENTRY_data);
	msg->ENTRY_data = value;
	msg->ENTRY_set = 1;
	return 0;
}
"""
    clear = "free(msg->ENTRY_data);\nmsg->ENTRY_data = NULL;\n"
    marshal = "evtag_marshal_string(evbuf, TAG, msg->ENTRY_data);\n"
    copy = "if (STRUCT_ENTRY_assign(to, from->ENTRY_data) == -1)\n\treturn -1;\n"
    is_there = "msg->ENTRY_data != NULL"


class Bytes(Entry):
    type = "ev_uint8_t *"
    members = "ev_uint8_t *ENTRY_data;\nev_uint32_t ENTRY_length;"
    helpers = ("copy_block", "take_payload")
    accessors = (("assign", "int ", "const ev_uint8_t *, ev_uint32_t"),
                 ("get", "int ", "ev_uint8_t **, ev_uint32_t *"))
    code = """
int
STRUCT_ENTRY_assign(struct STRUCT *msg, const ev_uint8_t *value, ev_uint32_t length)
{
	ev_uint8_t *copy = (ev_uint8_t *)rpcgen_copy_block_(value, length);

	if (copy == NULL)
		return -1;
	free(msg->ENTRY_data);
	msg->ENTRY_data = copy;
	msg->ENTRY_length = length;
	msg->ENTRY_set = 1;
	return 0;
}

int
STRUCT_ENTRY_get(struct STRUCT *msg, ev_uint8_t **value, ev_uint32_t *length)
{
	if (msg->ENTRY_set != 1)
		return -1;
	*value = msg->ENTRY_data;
	*length = msg->ENTRY_length;
	return 0;
}

static int
STRUCT_ENTRY_unmarshal_(struct STRUCT *msg, struct evbuffer *evbuf, int nesting)
{
	ev_uint32_t length;
	ev_uint8_t *value = (ev_uint8_t *)rpcgen_take_payload_(evbuf, &length);

	(void)nesting;
	if (value == NULL)
		return -1;
	free(msg->ENTRY_data);
	msg->ENTRY_data = value;
	msg->ENTRY_length = length;
	msg->ENTRY_set = 1;
	return 0;
}
"""
    clear = "free(msg->ENTRY_data);\nmsg->ENTRY_data = NULL;\nmsg->ENTRY_length = 0;\n"
    marshal = "evtag_marshal(evbuf, TAG, msg->ENTRY_data, msg->ENTRY_length);\n"
    copy = "if (STRUCT_ENTRY_assign(to, from->ENTRY_data, from->ENTRY_length) == -1)\n\treturn -1;\n"


class Substructure(Entry):
    members = "struct OTHER* ENTRY_data;"
    accessors = (("assign", "int ", "const struct OTHER *"), ("get", "int ", "struct OTHER **"))
    code = """
int
STRUCT_ENTRY_assign(struct STRUCT *msg, const struct OTHER *value)
{
	struct OTHER *copy = OTHER_new();
	int result = copy == NULL ? -1 : OTHER_copy_(copy, value);

	/* What was there goes last: it may be the value itself. It stays when memory is short. */
	if (result == -1) {
		if (copy != NULL)
			OTHER_free(copy);
		if (OTHER_complete((struct OTHER *)value) != -1)
			return -1;
		copy = NULL;
	}
	if (msg->ENTRY_data != NULL)
		OTHER_free(msg->ENTRY_data);
	msg->ENTRY_data = copy;
	msg->ENTRY_set = result == 0;
	return result;
}

int
STRUCT_ENTRY_get(struct STRUCT *msg, struct OTHER **value)
{
	if (msg->ENTRY_set != 1) {
		if (msg->ENTRY_data == NULL && (msg->ENTRY_data = OTHER_new()) == NULL)
			return -1;
		msg->ENTRY_set = 1;
	}
	*value = msg->ENTRY_data;
	return 0;
}

static int
STRUCT_ENTRY_unmarshal_(struct STRUCT *msg, struct evbuffer *evbuf, int nesting)
{
	struct OTHER *value = OTHER_new();

	if (value == NULL)
		return -1;
	if (OTHER_unmarshal_item_(value, evbuf, TAG, nesting + 1) == -1) {
		OTHER_free(value);
		return -1;
	}
	if (msg->ENTRY_data != NULL)
		OTHER_free(msg->ENTRY_data);
	msg->ENTRY_data = value;
	msg->ENTRY_set = 1;
	return 0;
}
"""
    clear = "if (msg->ENTRY_data != NULL)\n\tOTHER_free(msg->ENTRY_data);\nmsg->ENTRY_data = NULL;\n"
    marshal = "evtag_marshal_OTHER(evbuf, TAG, msg->ENTRY_data);\n"
    copy = "if (STRUCT_ENTRY_assign(to, from->ENTRY_data) == -1)\n\treturn -1;\n"
    is_there = "msg->ENTRY_data != NULL"
    inner_complete = "if (msg->ENTRY_set && OTHER_complete(msg->ENTRY_data) == -1)\n\treturn -1;\n"

    def __init__(self, other):
        self.other = other


# Every kind of array begins with this.
EXPAND = """
static int
STRUCT_ENTRY_expand_(struct STRUCT *msg)
{
	void *data = rpcgen_expand_(msg->ENTRY_data, msg->ENTRY_length, &msg->ENTRY_num_allocated,
	    sizeof(*msg->ENTRY_data));

	if (data == NULL)
		return -1;
	msg->ENTRY_data = (TYPE *)data;
	return 0;
}
"""
ARRAY_GET = """
int
STRUCT_ENTRY_get(struct STRUCT *msg, int offset, TYPE *value)
{
	if (!msg->ENTRY_set || offset < 0 || offset >= msg->ENTRY_length)
		return -1;
	*value = msg->ENTRY_data[offset];
	return 0;
}
"""


class Array(Entry):
    is_array = True
    helpers = ("expand",)
    members = "TYPE *ENTRY_data;\nint ENTRY_length;\nint ENTRY_num_allocated;"
    clear = """free(msg->ENTRY_data);
msg->ENTRY_data = NULL;
msg->ENTRY_length = 0;
msg->ENTRY_num_allocated = 0;
"""


class IntegerArray(Array):
    accessors = (("assign", "int ", "int, const TYPE"), ("get", "int ", "int, TYPE *"), ("add", "TYPE *", "const TYPE"))
    code = EXPAND + """
int
STRUCT_ENTRY_assign(struct STRUCT *msg, int offset, const TYPE value)
{
	if (!msg->ENTRY_set || offset < 0 || offset >= msg->ENTRY_length)
		return -1;
	msg->ENTRY_data[offset] = value;
	return 0;
}
""" + ARRAY_GET + """
TYPE *
STRUCT_ENTRY_add(struct STRUCT *msg, const TYPE value)
{
	if (STRUCT_ENTRY_expand_(msg) == -1)
		return NULL;
	msg->ENTRY_data[msg->ENTRY_length] = value;
	msg->ENTRY_set = 1;
	return &msg->ENTRY_data[msg->ENTRY_length++];
}

static int
STRUCT_ENTRY_unmarshal_(struct STRUCT *msg, struct evbuffer *evbuf, int nesting)
{
	TYPE value;

	(void)nesting;
	if (evtag_unmarshal_VERB(evbuf, TAG, &value) == -1 || STRUCT_ENTRY_add(msg, value) == NULL)
		return -1;
	return 0;
}
"""
    marshal = "for (i = 0; i < msg->ENTRY_length; i++)\n\tevtag_marshal_VERB(evbuf, TAG, msg->ENTRY_data[i]);\n"
    copy = """for (i = 0; i < from->ENTRY_length; i++) {
	if (STRUCT_ENTRY_add(to, from->ENTRY_data[i]) == NULL)
		return -1;
}
"""

    def __init__(self, c_type, verb):
        self.type, self.verb = c_type, verb


class StringArray(Array):
    type = "char *"
    helpers = ("expand", "copy_block", "take_payload")
    accessors = (("assign", "int ", "int, const char *"), ("get", "int ", "int, char **"),
                 ("add", "char **", "const char *"))
    code = EXPAND + """
int
STRUCT_ENTRY_assign(struct STRUCT *msg, int offset, const char *value)
{
	char *copy = NULL;

	if (!msg->ENTRY_set || offset < 0 || offset >= msg->ENTRY_length)
		return -1;
	if (value != NULL && (copy = (char *)rpcgen_copy_block_(value, strlen(value) + 1)) == NULL)
		return -1;
	free(msg->ENTRY_data[offset]);
	msg->ENTRY_data[offset] = copy;
	return 0;
}
""" + ARRAY_GET + """
char **
STRUCT_ENTRY_add(struct STRUCT *msg, const char *value)
{
	char *copy = NULL;

	if (value != NULL && (copy = (char *)rpcgen_copy_block_(value, strlen(value) + 1)) == NULL)
		return NULL;
	if (STRUCT_ENTRY_expand_(msg) == -1) {
		free(copy);
		return NULL;
	}
	msg->ENTRY_data[msg->ENTRY_length] = copy;
	msg->ENTRY_set = 1;
	return &msg->ENTRY_data[msg->ENTRY_length++];
}

static int
STRUCT_ENTRY_unmarshal_(struct STRUCT *msg, struct evbuffer *evbuf, int nesting)
{
	ev_uint32_t length;
	char *value = (char *)rpcgen_take_payload_(evbuf, &length);

	(void)nesting;
	if (value == NULL)
		return -1;
	if (STRUCT_ENTRY_expand_(msg) == -1) {
		free(value);
		return -1;
	}
	msg->ENTRY_data[msg->ENTRY_length++] = value;
	msg->ENTRY_set = 1;
	return 0;
}
"""
    clear = "for (i = 0; i < msg->ENTRY_length; i++)\n\tfree(msg->ENTRY_data[i]);\n" + Array.clear
    marshal = """for (i = 0; i < msg->ENTRY_length; i++) {
	if (msg->ENTRY_data[i] != NULL)
		evtag_marshal_string(evbuf, TAG, msg->ENTRY_data[i]);
}
"""
    copy = IntegerArray.copy


class StructureArray(Array):
    accessors = (("assign", "int ", "int, const struct OTHER *"), ("get", "int ", "int, struct OTHER **"),
                 ("add", "struct OTHER *", ""))
    code = EXPAND + """
int
STRUCT_ENTRY_assign(struct STRUCT *msg, int offset, const struct OTHER *value)
{
	struct OTHER *copy;

	if (!msg->ENTRY_set || offset < 0 || offset >= msg->ENTRY_length || (copy = OTHER_new()) == NULL)
		return -1;
	if (OTHER_copy_(copy, value) == -1) {
		OTHER_free(copy);
		return -1;
	}
	OTHER_free(msg->ENTRY_data[offset]);
	msg->ENTRY_data[offset] = copy;
	return 0;
}
""" + ARRAY_GET + """
struct OTHER *
STRUCT_ENTRY_add(struct STRUCT *msg)
{
	struct OTHER *value;

	if (STRUCT_ENTRY_expand_(msg) == -1 || (value = OTHER_new()) == NULL)
		return NULL;
	msg->ENTRY_data[msg->ENTRY_length++] = value;
	msg->ENTRY_set = 1;
	return value;
}

static int
STRUCT_ENTRY_unmarshal_(struct STRUCT *msg, struct evbuffer *evbuf, int nesting)
{
	struct OTHER *value = STRUCT_ENTRY_add(msg);

	if (value == NULL)
		return -1;
	if (OTHER_unmarshal_item_(value, evbuf, TAG, nesting + 1) == -1) {
		OTHER_free(value);
		msg->ENTRY_set = --msg->ENTRY_length > 0;
		return -1;
	}
	return 0;
}
"""
    clear = "for (i = 0; i < msg->ENTRY_length; i++)\n\tOTHER_free(msg->ENTRY_data[i]);\n" + Array.clear
    marshal = "for (i = 0; i < msg->ENTRY_length; i++)\n\tevtag_marshal_OTHER(evbuf, TAG, msg->ENTRY_data[i]);\n"
    copy = """for (i = 0; i < from->ENTRY_length; i++) {
	struct OTHER *value = STRUCT_ENTRY_add(to);

	if (value == NULL || OTHER_copy_(value, from->ENTRY_data[i]) == -1)
		return -1;
}
"""
    inner_complete = """if (msg->ENTRY_set) {
	for (i = 0; i < msg->ENTRY_length; i++) {
		if (OTHER_complete(msg->ENTRY_data[i]) == -1)
			return -1;
	}
}
"""

    def __init__(self, other):
        self.other, self.type = other, f"struct {other} *"


# --- Structures --------------------------------------------------------------------------------

PROTOTYPES = """struct STRUCT *STRUCT_new(void);
struct STRUCT *STRUCT_new_with_arg(void *);
void STRUCT_free(struct STRUCT *);
void STRUCT_clear(struct STRUCT *);
void STRUCT_marshal(struct evbuffer *, const struct STRUCT *);
int STRUCT_unmarshal(struct STRUCT *, struct evbuffer *);
int STRUCT_complete(struct STRUCT *);
void evtag_marshal_STRUCT(struct evbuffer *, ev_uint32_t, const struct STRUCT *);
int evtag_unmarshal_STRUCT(struct evbuffer *, ev_uint32_t, struct STRUCT *);
"""
# A structure of another file has these when this tool made them.
INTERNAL_PROTOTYPES = """/* For generated code only. */
int STRUCT_unmarshal_item_(struct STRUCT *, struct evbuffer *, ev_uint32_t, int);
int STRUCT_copy_(struct STRUCT *, const struct STRUCT *);
#define STRUCT_copy_ STRUCT_copy_
"""
FOREIGN = """
#ifndef STRUCT_copy_
/* The code of struct STRUCT was not made by this version of the generator. */
static int
STRUCT_unmarshal_item_(struct STRUCT *msg, struct evbuffer *evbuf, ev_uint32_t need_tag, int nesting)
{
	(void)nesting;
	return evtag_unmarshal_STRUCT(evbuf, need_tag, msg);
}

static int
STRUCT_copy_(struct STRUCT *to, const struct STRUCT *from)
{
	struct evbuffer *evbuf = evbuffer_new();
	int result;

	if (evbuf == NULL)
		return -1;
	STRUCT_marshal(evbuf, from);
	result = STRUCT_unmarshal(to, evbuf);
	evbuffer_free(evbuf);
	return result;
}
#endif
"""
NEW_AND_FREE = """
struct STRUCT *
STRUCT_new(void)
{
	struct STRUCT *msg = (struct STRUCT *)calloc(1, sizeof(struct STRUCT));

	if (msg == NULL) {
		event_warn("STRUCT_new: no memory");
		return NULL;
	}
	msg->base = &STRUCT_base_;
	return msg;
}

struct STRUCT *
STRUCT_new_with_arg(void *unused)
{
	(void)unused;
	return STRUCT_new();
}

void
STRUCT_free(struct STRUCT *msg)
{
	STRUCT_clear(msg);
	free(msg);
}
"""
# Behind STRUCT_unmarshal_items_(), which takes the items in front of the last `rest` bytes.
UNMARSHAL = """
int
STRUCT_unmarshal_item_(struct STRUCT *msg, struct evbuffer *evbuf, ev_uint32_t need_tag, int nesting)
{
	ev_uint32_t tag;
	size_t rest, left;
	int length, result = -1;

	length = evtag_unmarshal_header(evbuf, &tag);
	if (length < 0)
		return -1;
	rest = evbuffer_get_length(evbuf) - (size_t)length;
	if (tag == need_tag && nesting <= EVRPC_MAX_NESTING)
		result = STRUCT_unmarshal_items_(msg, evbuf, rest, nesting);
	/* A bad item is taken out whole. */
	left = evbuffer_get_length(evbuf);
	if (left > rest)
		evbuffer_drain(evbuf, left - rest);
	return result;
}

int
STRUCT_unmarshal(struct STRUCT *msg, struct evbuffer *evbuf)
{
	if (STRUCT_unmarshal_items_(msg, evbuf, 0, 0) == -1)
		return -1;
	return STRUCT_complete(msg);
}

int
evtag_unmarshal_STRUCT(struct evbuffer *evbuf, ev_uint32_t need_tag, struct STRUCT *msg)
{
	if (STRUCT_unmarshal_item_(msg, evbuf, need_tag, 0) == -1)
		return -1;
	return STRUCT_complete(msg);
}

void
evtag_marshal_STRUCT(struct evbuffer *evbuf, ev_uint32_t tag, const struct STRUCT *msg)
{
	struct evbuffer *payload = evbuffer_new();

	if (payload == NULL) {
		event_warn("evtag_marshal_STRUCT: no memory");
		return;
	}
	STRUCT_marshal(payload, msg);
	evtag_marshal_buffer(evbuf, tag, payload);
	evbuffer_free(payload);
}
"""
NO_ITEMS = """
static int
STRUCT_unmarshal_items_(struct STRUCT *msg, struct evbuffer *evbuf, size_t rest, int nesting)
{
	(void)msg, (void)nesting;
	return evbuffer_get_length(evbuf) > rest ? -1 : 0;
}
"""
ITEMS_BEGIN = """
static int
STRUCT_unmarshal_items_(struct STRUCT *msg, struct evbuffer *evbuf, size_t rest, int nesting)
{
	ev_uint32_t tag, size;
	size_t left;
	const char *entry;
	int result;

	while ((left = evbuffer_get_length(evbuf)) > rest) {
		if (evtag_peek(evbuf, &tag) == -1)
			return -1;
		/* No item of an inner message reaches out of it. */
		if (rest > 0 && (evtag_peek_length(evbuf, &size) == -1 || size > left - rest))
			return -1;
		switch (tag) {
"""
ITEMS_END = """		default:
			return -1;
		}
		if (result == -1) {
			event_warnx("STRUCT_unmarshal: failed to unmarshal %s", entry);
			return -1;
		}
	}
"""


class Structure:
    def __init__(self, name, line, entries):
        self.name, self.line = name, line
        self.entries = []
        for first, text in entries:
            self.append(read_entry(first, text))

    def append(self, entry):
        for other in self.entries:
            if other.name == entry.name:
                raise entry.line.mistake(f"a second entry '{entry.name}' (the first is in line {other.line.number}): "
                                         "expected another name")
            if other.tag == entry.tag:
                raise entry.line.mistake(f"'{entry.name}' has the tag {entry.tag} of '{other.name}' "
                                         f"(line {other.line.number}): expected a tag of its own")
        self.entries.append(entry)

    def names(self):
        """The names that belong to this structure in the generated code, for messages of mistakes."""
        owner = f"struct {self.name}"
        prototypes = re.findall(r"(\w+)\(", self.fill(PROTOTYPES + INTERNAL_PROTOTYPES))
        own = [f"enum {self.name.lower()}_", f"struct {self.name}", f"struct {self.name}_access_", f"{self.name}_base_",
               f"{self.name.upper()}_MAX_TAGS", f"{self.name}_unmarshal_items_", *prototypes]
        yield from ((self.line, f"{owner} (line {self.line.number})", name) for name in own)
        for entry in self.entries:
            functions = [name for name, _, _ in entry.accessors] + ["unmarshal_", "expand_"]
            for name in [entry.enumerator(self)] + [f"{self.name}_{entry.name}_{name}" for name in functions]:
                yield entry.line, f"'{entry.name}' of {owner}", name

    def fill(self, text):
        return fill(text, STRUCT=self.name)

    def per_entry(self, text_of):
        return "".join(entry.fill(text_of(entry), self) for entry in self.entries)

    # The header.

    def header(self):
        return (f"\n/* struct {self.name} */\n\n" + self.tags() + self.access_table() + self.structure()
                + self.fill(PROTOTYPES) + self.accessor_prototypes() + self.fill(INTERNAL_PROTOTYPES))

    def tags(self):
        lines = []
        for entry in self.entries:
            # ISO C knows no enumerators beyond int, but compilers do.
            number = str(entry.tag) if entry.tag < 0x7fffffff else f"{entry.tag:#x}u"
            lines.append(f"\t{entry.enumerator(self)}={number},\n")
        extension = any(entry.tag >= 0x7fffffff for entry in self.entries)
        return ("#ifdef __GNUC__\n__extension__\n#endif\n" if extension else "") + \
            f"enum {self.name.lower()}_ {{\n{''.join(lines)}\t{self.name.upper()}_MAX_TAGS\n}};\n\n"

    def access_table(self):
        lines = self.per_entry(lambda entry: "".join(
            f"\t{result}(*ENTRY_{name})({', '.join(filter(None, ['struct STRUCT *', parameters]))});\n"
            for name, result, parameters in entry.accessors))
        return f"struct {self.name}_access_ {{\n{lines or '	char no_entries;' + chr(10)}}};\n\n"

    def structure(self):
        members = self.per_entry(lambda entry: indent(entry.members))
        flags = self.per_entry(lambda entry: "\tev_uint8_t ENTRY_set;\n")
        return f"struct {self.name} {{\n\tstruct {self.name}_access_ *base;\n{members}{flags}}};\n\n"

    def accessor_prototypes(self):
        return self.per_entry(lambda entry: "".join(
            f"{result}STRUCT_ENTRY_{name}({', '.join(filter(None, ['struct STRUCT *', parameters]))});\n"
            for name, result, parameters in entry.accessors))

    # The C file.

    def code(self):
        return (f"\n/* struct {self.name} */\n" + self.access_values() + self.fill(NEW_AND_FREE)
                + self.clear_function() + self.per_entry(lambda entry: entry.code) + self.marshal_function()
                + self.copy_function() + self.complete_function() + self.items_function() + self.fill(UNMARSHAL))

    def access_values(self):
        values = self.per_entry(lambda entry: "".join(f"\tSTRUCT_ENTRY_{name},\n" for name, _, _ in entry.accessors))
        return f"\nstatic struct {self.name}_access_ {self.name}_base_ = {{\n{values.rstrip()[:-1] or '	0'}\n}};\n"

    def function(self, head, body, end=""):
        """A function, with a counter if its body has loops, and with its parameters used."""
        counter = "\tint i;\n\n" if "for (i " in body else ""
        unused = "" if body else "".join(f"\t(void){name};\n" for name in re.findall(r"\*(\w+)", head))
        return self.fill(f"\n{head}\n{{\n") + f"{counter}{unused}{indent(body)}{end}}}\n"

    def clear_function(self):
        body = self.per_entry(lambda entry: entry.clear + "msg->ENTRY_set = 0;\n")
        return self.function("void\nSTRUCT_clear(struct STRUCT *msg)", body)

    def marshal_function(self):
        return self.function("void\nSTRUCT_marshal(struct evbuffer *evbuf, const struct STRUCT *msg)",
                             self.per_entry(Entry.marshal_code))

    def copy_function(self):
        return self.function("int\nSTRUCT_copy_(struct STRUCT *to, const struct STRUCT *from)",
                             self.per_entry(Entry.copy_code), "\treturn 0;\n")

    def complete_function(self):
        return self.function("int\nSTRUCT_complete(struct STRUCT *msg)",
                             self.per_entry(lambda entry: "".join(entry.complete_code())), "\treturn 0;\n")

    def items_function(self):
        if not self.entries:
            return self.fill(NO_ITEMS)
        cases = self.per_entry(lambda entry: "case TAG:\n" + (
            "" if entry.is_array else "\tif (msg->ENTRY_set)\n\t\treturn -1;\n"
        ) + '\tentry = "ENTRY";\n\tresult = STRUCT_ENTRY_unmarshal_(msg, evbuf, nesting);\n\tbreak;\n')
        # Inner messages were checked for completeness when they were read.
        required = self.per_entry(lambda entry: entry.complete_code()[0])
        return self.fill(ITEMS_BEGIN) + indent(cases, 2) + self.fill(ITEMS_END) + indent(required) + "\treturn 0;\n}\n"


# --- The two files -----------------------------------------------------------------------------

HELPERS = {
    "copy_block": """
static void *
rpcgen_copy_block_(const void *data, size_t length)
{
	void *copy = malloc(length > 0 ? length : 1);

	if (copy != NULL && length > 0)
		memcpy(copy, data, length);
	return copy;
}
""",
    "take_payload": """
/* The payload of the first item, which is all there, with a zero byte behind it. */
static void *
rpcgen_take_payload_(struct evbuffer *evbuf, ev_uint32_t *length)
{
	int size = evtag_unmarshal_header(evbuf, NULL);
	char *payload;

	if (size < 0 || (payload = (char *)malloc((size_t)size + 1)) == NULL)
		return NULL;
	if (evbuffer_remove(evbuf, payload, (size_t)size) != size) {
		free(payload);
		return NULL;
	}
	payload[size] = '\\0';
	*length = (ev_uint32_t)size;
	return payload;
}
""",
    "expand": """
/* Gives an array room for one more element, and twice as much when it is full. */
static void *
rpcgen_expand_(void *data, int length, int *allocated, size_t size)
{
	int wanted = *allocated > 0 ? 2 * *allocated : 1;
	void *larger;

	if (length < *allocated)
		return data;
	if (*allocated > INT_MAX / 2 || (size_t)wanted > (size_t)-1 / size)
		return NULL;
	larger = realloc(data, (size_t)wanted * size);
	if (larger != NULL)
		*allocated = wanted;
	return larger;
}
""",
}


def origin(definitions):
    return (f"/* Made from {os.path.basename(definitions.path)} by event_rpcgen.py: change that and not this. */\n")


def header_text(definitions):
    guard = "EVENT_RPCOUT_" + re.sub("[^A-Za-z0-9_]", "_", definitions.path).upper() + "_"
    others = {entry.other for structure in definitions.structures for entry in structure.entries if entry.other}
    own = [structure.name for structure in definitions.structures]
    forward = own + sorted(others - set(own))
    return (origin(definitions) + f"#ifndef {guard}\n#define {guard}\n\n"
            + "".join(line + "\n" for line in definitions.defines)
            + "#include <event2/util.h>\n#include <event2/rpc.h>\n\n"
            + "#ifdef __cplusplus\nextern \"C\" {\n#endif\n\nstruct evbuffer;\n"
            + "".join(f"struct {name};\n" for name in forward)
            + "".join(structure.header() for structure in definitions.structures)
            + "\n#ifdef __cplusplus\n}\n#endif\n\n#endif\n")


def code_text(definitions, header):
    entries = [entry for structure in definitions.structures for entry in structure.entries]
    own = {structure.name for structure in definitions.structures}
    helpers = {helper for entry in entries for helper in entry.helpers}
    return (origin(definitions) + "#include <limits.h>\n#include <stdlib.h>\n#include <string.h>\n\n"
            + "".join(f"#include <event2/{name}.h>\n" for name in ("event-config", "event", "buffer", "tag")) + "\n"
            + "".join(line + "\n" for line in definitions.includes)
            + f'#include "{os.path.basename(header)}"\n\n'
            + "/* How deep messages may stand in messages that a peer sends. */\n"
            + "#ifndef EVRPC_MAX_NESTING\n#define EVRPC_MAX_NESTING 64\n#endif\n\n"
            + '#ifdef __cplusplus\nextern "C" {\n#endif\n\n'
            + "void event_warn(const char *, ...);\nvoid event_warnx(const char *, ...);\n"
            + "".join(text for name, text in HELPERS.items() if name in helpers)
            + "".join(fill(FOREIGN, STRUCT=name) for name in sorted({entry.other for entry in entries} - own - {""}))
            + "".join(structure.code() for structure in definitions.structures)
            + "\n#ifdef __cplusplus\n}\n#endif\n")


def write_files(texts):
    """Writes the files, all or none: each beside its place, and then moved there."""
    temporary = []
    try:
        for path, text in texts:
            place = os.path.realpath(path)
            handle, name = tempfile.mkstemp(dir=os.path.dirname(place), prefix=".event_rpcgen-")
            temporary.append((name, place, path))
            with os.fdopen(handle, "w", encoding="latin-1", newline="") as file:
                file.write(text)
            os.chmod(name, 0o666 & ~current_umask())
        for name, place, path in temporary:
            os.replace(name, place)
    except OSError as problem:
        raise Mistake(f"{path}: {problem.strerror}") from None
    finally:
        for name, _, _ in temporary:
            if os.path.exists(name):
                os.unlink(name)


def current_umask():
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def output_names(parser, source, outputs):
    """The names of header and C file."""
    outputs = [name.replace("\\", "/") for name in outputs]
    code = outputs[-1] if outputs else os.path.splitext(source)[0] + ".gen.c"
    header = outputs[0] if len(outputs) == 2 else os.path.splitext(code)[0] + ".h"
    if len(outputs) > 2:
        parser.error("expected one C file, or a header and a C file")
    if not code.endswith(".c"):
        parser.error(f"the C file is called '{code}': expected a name that ends in .c")
    if not header.endswith(".h"):
        parser.error(f"the header is called '{header}': expected a name that ends in .h")
    for name in header, code:
        if os.path.realpath(name) == os.path.realpath(source):
            parser.error(f"'{name}' holds the definitions: expected another file for what is made of them")
    return header, code


def main():
    parser = argparse.ArgumentParser(
        prog="event_rpcgen.py", usage="%(prog)s [--quiet] rpc-file [[h-file] c-file]",
        description="Makes C code of message definitions, for the remote calls of event2/rpc.h. "
                    "See event_rpcgen.py(1).")
    parser.add_argument("--quiet", action="store_true", help="say nothing about what is done")
    parser.add_argument("source", metavar="rpc-file", help="the definitions")
    parser.add_argument("outputs", metavar="h-file, c-file", nargs="*",
                        help="what is written (default: rpc-file with .gen.h and .gen.c as its extension)")
    options = parser.parse_args()
    say = (lambda text: None) if options.quiet else print
    header, code = output_names(parser, options.source, options.outputs)
    say(f"Reading {options.source}")
    definitions = Definitions(options.source)
    for structure in definitions.structures:
        say(f"  struct {structure.name}: {len(structure.entries)} entries")
    write_files([(header, header_text(definitions)), (code, code_text(definitions, header))])
    say(f"Written: {header}, {code}")


if __name__ == "__main__":
    try:
        main()
    except Mistake as mistake:
        print(f"event_rpcgen.py: {mistake}", file=sys.stderr)
        sys.exit(1)
