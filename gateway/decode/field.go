package decode

import "bytes"

// field is a key that means something; aliases are the same field.
type field uint8

const (
	fieldOther field = iota // kept as it is
	fieldTopic
	fieldUser
	fieldTime
	fieldID
	fieldCategory
	fieldRegion
	fieldCount
	fieldLang
	fieldSource
	fieldDevice
	fieldWatch
	fieldCompleted
	fieldMetadata
	// Only kept, but known: that is less work than any other key.
	fieldSession
	fieldQuality
	fieldBuffering
)

// fieldOf knows the keys of an event.
func fieldOf(key []byte) field {
	switch string(key) {
	case "topic", "video_id":
		return fieldTopic
	case "user_id", "userId":
		return fieldUser
	case "timestamp", "ts":
		return fieldTime
	case "event_id":
		return fieldID
	case "count", "weight":
		return fieldCount
	case "watch_time_sec":
		return fieldWatch
	case "completed":
		return fieldCompleted
	case "metadata":
		return fieldMetadata
	case "session_id":
		return fieldSession
	case "quality":
		return fieldQuality
	case "buffering_count":
		return fieldBuffering
	}
	return innerFieldOf(key)
}

// usualKey knows the most usual keys of JSON events as they are usually
// written: at pos in quotes, with a colon right behind. It returns the place
// behind the colon, or 0 for anything else. One comparison of eight bytes finds
// the key and its end, where the scanner would have to look for the end first.
func usualKey(src []byte, pos int) (f field, end int) {
	if len(src)-pos < 18 {
		return fieldOther, 0
	}
	switch string(src[pos : pos+8]) {
	case `"topic":`:
		return fieldTopic, pos + 8
	case `"count":`:
		return fieldCount, pos + 8
	case `"user_id`:
		if follows(src, pos+8, `":`) {
			return fieldUser, pos + 10
		}
	case `"timesta`:
		if follows(src, pos+8, `mp":`) {
			return fieldTime, pos + 12
		}
	case `"event_i`:
		if follows(src, pos+8, `d":`) {
			return fieldID, pos + 11
		}
	case `"video_i`:
		if follows(src, pos+8, `d":`) {
			return fieldTopic, pos + 11
		}
	case `"categor`:
		if follows(src, pos+8, `y":`) {
			return fieldCategory, pos + 11
		}
	case `"region"`:
		if follows(src, pos+8, `:`) {
			return fieldRegion, pos + 9
		}
	case `"watch_t`:
		if follows(src, pos+8, `ime_sec":`) {
			return fieldWatch, pos + 17
		}
	case `"session`:
		if follows(src, pos+8, `_id":`) {
			return fieldSession, pos + 13
		}
	case `"quality`:
		if follows(src, pos+8, `":`) {
			return fieldQuality, pos + 10
		}
	}
	return fieldOther, 0
}

// usualPackedKey knows the most usual keys of events in msgpack, as short
// strings: at pos, its first byte says the length. It returns the place behind
// the key, or 0 for anything else.
func usualPackedKey(src []byte, pos int) (f field, end int) {
	if len(src)-pos < 10 {
		return fieldOther, 0
	}
	switch string(src[pos : pos+6]) {
	case "\xa5topic":
		return fieldTopic, pos + 6
	case "\xa5count":
		return fieldCount, pos + 6
	case "\xa6regio":
		if follows(src, pos+6, "n") {
			return fieldRegion, pos + 7
		}
	case "\xa7user_":
		if follows(src, pos+6, "id") {
			return fieldUser, pos + 8
		}
	case "\xa8categ":
		if follows(src, pos+6, "ory") {
			return fieldCategory, pos + 9
		}
	case "\xa8event":
		if follows(src, pos+6, "_id") {
			return fieldID, pos + 9
		}
	case "\xa8video":
		if follows(src, pos+6, "_id") {
			return fieldTopic, pos + 9
		}
	case "\xa9times":
		if follows(src, pos+6, "tamp") {
			return fieldTime, pos + 10
		}
	}
	return fieldOther, 0
}

// follows is inlined, so that the text is compared as one or two words.
func follows(src []byte, pos int, text string) bool {
	return string(src[pos:pos+len(text)]) == text
}

// innerFieldOf knows the keys that mean the same inside "metadata".
func innerFieldOf(key []byte) field {
	switch string(key) {
	case "category":
		return fieldCategory
	case "region":
		return fieldRegion
	case "lang":
		return fieldLang
	case "source":
		return fieldSource
	case "device":
		return fieldDevice
	}
	return fieldOther
}

// The keys whose other spellings are refused: a reader that does not mind the
// case would take "Topic" for the topic. Those that are only kept are not
// among them.
var (
	innerNames = [][]byte{[]byte("category"), []byte("region"), []byte("lang"), []byte("source"), []byte("device")}
	outerNames = append([][]byte{
		[]byte("topic"), []byte("video_id"), []byte("user_id"), []byte("userId"), []byte("timestamp"), []byte("ts"),
		[]byte("event_id"), []byte("count"), []byte("weight"), []byte("metadata"),
	}, innerNames...)
)

// innerByLetter and outerByLetter are the same by their first letter.
var innerByLetter, outerByLetter = byLetter(innerNames), byLetter(outerNames)

func byLetter(names [][]byte) (all ['z' - 'a' + 1][][]byte) {
	for _, name := range names {
		all[name[0]-'a'] = append(all[name[0]-'a'], name)
	}
	return all
}

// variantOf finds the known key that an unknown one equals but for its case.
func variantOf(key []byte, inner bool) (known []byte) {
	if !allPlain(key) {
		return foldedOf(key, inner)
	}
	if len(key) == 0 {
		return nil
	}
	letter := key[0] | 0x20 - 'a'
	if letter > 'z'-'a' {
		return nil
	}
	names := outerByLetter[letter]
	if inner {
		names = innerByLetter[letter]
	}
	for _, name := range names {
		if len(key) == len(name) && bytes.EqualFold(key, name) {
			return name
		}
	}
	return nil
}

// foldedOf is variantOf for a key that is not all ASCII: a letter beyond that can be
// folded into one of ASCII (the Kelvin sign into k), so neither the first byte nor
// the length need be the same.
func foldedOf(key []byte, inner bool) (known []byte) {
	names := outerNames
	if inner {
		names = innerNames
	}
	for _, name := range names {
		if len(key) >= len(name) && bytes.EqualFold(key, name) {
			return name
		}
	}
	return nil
}
