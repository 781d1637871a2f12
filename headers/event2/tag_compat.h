/* event2/tag_compat.h: names of functions of event2/tag.h that the 1.x series had. */
#ifndef EVENT2_TAG_COMPAT_H_INCLUDED_
#define EVENT2_TAG_COMPAT_H_INCLUDED_

/** Appends an integer without tag and length. */
#define encode_int(evbuf, number) evtag_encode_int((evbuf), (number))
/** Appends an integer of 64 bits without tag and length. */
#define encode_int64(evbuf, number) evtag_encode_int64((evbuf), (number))

#endif
