package event

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// reader reads JSON into messages; after the first error it reads nothing more.
type reader struct {
	in  []byte
	at  int
	err string
	// copied is the input as a text, once a part of it is wanted.
	copied string
}

func (r *reader) fail(what string) {
	if r.err == "" {
		r.err = what
	}
}

// space skips white space.
func (r *reader) space() {
	for r.at < len(r.in) {
		switch r.in[r.at] {
		case ' ', '\t', '\n', '\r':
			r.at++
		default:
			return
		}
	}
}

// next is the next byte that is no white space; 0 at the end.
func (r *reader) next() byte {
	r.space()
	if r.at >= len(r.in) {
		return 0
	}
	return r.in[r.at]
}

// take consumes one expected byte.
func (r *reader) take(c byte) bool {
	if r.err != "" || r.next() != c {
		r.fail("expected " + strconv.QuoteRune(rune(c)))
		return false
	}
	r.at++
	return true
}

// open begins an object or an array; false where it is over at once.
func (r *reader) open(begin, end byte, depth int) bool {
	if depth > depthMax {
		r.fail("nested too deep")
	}
	if !r.take(begin) {
		return false
	}
	if r.next() == end {
		r.at++
		return false
	}
	return true
}

// more says whether another member or element follows; where none does it takes the end.
func (r *reader) more(end byte) bool {
	if r.err != "" {
		return false
	}
	if r.next() == ',' {
		r.at++
		return true
	}
	r.take(end)
	return false
}

// members reads an object's members.
func (r *reader) members(depth int, member func(name []byte)) {
	if !r.open('{', '}', depth) {
		return
	}
	for {
		name := r.rawString()
		if !r.take(':') {
			return
		}
		member(name)
		if !r.more('}') {
			return
		}
	}
}

// elements reads an array's elements.
func (r *reader) elements(depth int, element func()) {
	if !r.open('[', ']', depth) {
		return
	}
	for {
		element()
		if !r.more(']') {
			return
		}
	}
}

// boolean reads true or false.
func (r *reader) boolean() bool {
	switch {
	case r.next() == 't' && r.literal("true"):
		return true
	case r.next() == 'f' && r.literal("false"):
	default:
		r.fail("expected true or false")
	}
	return false
}

// literal consumes a word.
func (r *reader) literal(word string) bool {
	if len(r.in)-r.at < len(word) || string(r.in[r.at:r.at+len(word)]) != word {
		return false
	}
	r.at += len(word)
	return true
}

// integer reads a whole number, in the one form that it has.
func (r *reader) integer() int64 {
	text := r.number()
	n, err := strconv.ParseInt(string(text), 10, 64)
	digits := bytes.TrimPrefix(text, []byte("-"))
	switch {
	case err != nil, digits[0] == '+', digits[0] == '0' && len(text) > 1:
		r.fail("expected a whole number")
	case n > integerMax, n < -integerMax:
		r.fail("a number is beyond 2^53")
	}
	return n
}

// number reads the text of a number.
func (r *reader) number() []byte {
	r.space()
	start := r.at
	for r.at < len(r.in) {
		switch c := r.in[r.at]; {
		case c >= '0' && c <= '9', c == '-', c == '+', c == '.', c == 'e', c == 'E':
			r.at++
			continue
		}
		break
	}
	return r.in[start:r.at]
}

// plainBytes are those that a string may hold and that stand for themselves alone.
var plainBytes = func() (plain [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		plain[c] = c != '"' && c != '\\'
	}
	return plain
}()

// plain reads a string of plain bytes, and says where it is. Where there is none such it reads nothing.
func (r *reader) plain() (start, end int, ok bool) {
	if r.err != "" || r.next() != '"' {
		return 0, 0, false
	}
	start = r.at + 1
	end = start
	for end < len(r.in) && plainBytes[r.in[end]] {
		end++
	}
	if end == len(r.in) || r.in[end] != '"' {
		return 0, 0, false
	}
	r.at = end + 1
	return start, end, true
}

// rawString reads a string; what it gives is valid until the input changes.
func (r *reader) rawString() []byte {
	if start, end, plain := r.plain(); plain {
		return r.in[start:end]
	}
	if !r.take('"') {
		return nil
	}
	start := r.at
	for r.at < len(r.in) {
		switch c := r.in[r.at]; {
		case c == '"':
			s := r.in[start:r.at]
			r.at++
			if !utf8.Valid(s) {
				r.fail("a string is no valid UTF-8")
			}
			return s
		case c == '\\':
			return r.escapedString(start)
		case c < ' ':
			r.fail("a control character stands in a string")
			return nil
		}
		r.at++
	}
	r.fail("a string has no end")
	return nil
}

// escapedString reads the rest of a string that holds escapes; what it gives is a copy.
func (r *reader) escapedString(start int) []byte {
	s := append([]byte(nil), r.in[start:r.at]...)
	for r.at < len(r.in) {
		switch c := r.in[r.at]; {
		case c == '"':
			r.at++
			if !utf8.Valid(s) {
				r.fail("a string is no valid UTF-8")
			}
			return s
		case c == '\\':
			s = r.escape(s)
			if r.err != "" {
				return nil
			}
			continue
		case c < ' ':
			r.fail("a control character stands in a string")
			return nil
		default:
			s = append(s, c)
		}
		r.at++
	}
	r.fail("a string has no end")
	return nil
}

// shortEscapes are the escapes of one letter.
var shortEscapes = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// escape reads one escaped character and adds it.
func (r *reader) escape(s []byte) []byte {
	if r.at+1 >= len(r.in) {
		r.fail("a string has no end")
		return nil
	}
	if c := shortEscapes[r.in[r.at+1]]; c != 0 {
		r.at += 2
		return append(s, c)
	}
	c, ok := r.unit()
	if ok && utf16.IsSurrogate(c) {
		low, _ := r.unit()
		c = utf16.DecodeRune(c, low)
		ok = c != utf8.RuneError
	}
	switch {
	case !ok:
		r.fail("a string's escapes are malformed")
	case c == 0:
		r.fail("a string holds a NUL")
	}
	return utf8.AppendRune(s, c)
}

// unit reads one escaped UTF-16 code unit.
func (r *reader) unit() (c rune, ok bool) {
	const length = len(`\u0041`)
	if len(r.in)-r.at < length || r.in[r.at] != '\\' || r.in[r.at+1] != 'u' {
		return 0, false
	}
	var unit [2]byte
	if _, err := hex.Decode(unit[:], r.in[r.at+2:r.at+length]); err != nil {
		return 0, false
	}
	r.at += length
	return rune(unit[0])<<8 | rune(unit[1]), true
}

// skip reads over a value that nobody wants.
func (r *reader) skip(depth int) {
	switch r.next() {
	case '{':
		r.members(depth, func([]byte) { r.skip(depth + 1) })
	case '[':
		r.elements(depth, func() { r.skip(depth + 1) })
	case '"':
		r.rawString()
	case 't', 'f':
		r.boolean()
	case 'n':
		if !r.literal("null") {
			r.fail("expected null")
		}
	default:
		if text := r.number(); !json.Valid(text) {
			r.fail("expected a value")
		}
	}
}
