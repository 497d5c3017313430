package decode

import (
	"encoding/binary"

	"github.com/crestdb/crest/messages"
)

// decimal is an unsigned decimal number taken apart: 0.digits × 10^point with
// a first digit other than 0. Only the first 18 digits are kept; what is
// behind them is below any unit that is asked for.
type decimal struct {
	negative bool
	digits   uint64
	count    int // of digits kept; 0: the number is zero
	point    int
}

// parseDecimal takes a JSON number literal apart.
func parseDecimal(literal []byte) decimal {
	var d decimal
	i := 0
	if literal[0] == '-' {
		d.negative, i = true, 1
	}
	fraction := false
scan:
	for ; i < len(literal); i++ {
		switch c := literal[i]; {
		case c == '.':
			fraction = true
		case c == 'e' || c == 'E':
			d.point += parseExponent(literal[i+1:])
			break scan
		case c == '0' && d.count == 0:
			if fraction {
				d.point--
			}
		default:
			if d.count < 18 {
				d.digits = d.digits*10 + uint64(c-'0')
				d.count++
			}
			if !fraction {
				d.point++
			}
		}
	}
	d.negative = d.negative && d.count > 0
	return d
}

// parseExponent reads an exponent, up to more than any body has digits.
func parseExponent(literal []byte) int {
	const limit = 1 << 40
	n, negative := 0, false
	for _, c := range literal {
		switch {
		case c == '-':
			negative = true
		case c != '+' && n < limit:
			n = n*10 + int(c-'0')
		}
	}
	if negative {
		return -n
	}
	return n
}

// scaled is the number × 10^places, rounded down; false if it has more than
// 18 digits.
func (d decimal) scaled(places int) (uint64, bool) {
	want := d.point + places
	switch {
	case d.count == 0 || want <= 0:
		return 0, true
	case want > 18:
		return 0, false
	}
	v := d.digits
	for n := d.count; n < want; n++ {
		v *= 10
	}
	for n := d.count; n > want; n-- {
		v /= 10
	}
	return v, true
}

// momentOfNumber reads a Unix time: seconds below 10^11, milliseconds below
// 10^14, microseconds below 10^17, told apart by the value. What is finer than
// a microsecond is cut off.
func momentOfNumber(literal []byte) (messages.Micros, bool) {
	if v, ok := smallInteger(literal); ok {
		return momentOfInteger(v)
	}
	d := parseDecimal(literal)
	if d.negative {
		return 0, false
	}
	places := 6
	switch {
	case d.count == 0:
		return 0, true
	case d.point > 17:
		return 0, false
	case d.point > 14:
		places = 0
	case d.point > 11:
		places = 3
	}
	v, ok := d.scaled(places)
	return messages.Micros(v), ok
}

func momentOfInteger(v uint64) (messages.Micros, bool) {
	switch {
	case v < 1e11:
		return messages.Micros(v) * messages.Second, true
	case v < 1e14:
		return messages.Micros(v) * messages.Millisecond, true
	}
	return messages.Micros(v), v < 1e17
}

// smallInteger reads a literal of at most 18 digits and nothing else.
func smallInteger(literal []byte) (uint64, bool) {
	if len(literal) == 0 || len(literal) > 18 {
		return 0, false
	}
	v := uint64(0)
	for ; len(literal) >= 8; literal = literal[8:] {
		eight, ok := eightDigits(binary.LittleEndian.Uint64(literal))
		if !ok {
			return 0, false
		}
		v = v*1e8 + eight
	}
	for _, c := range literal {
		d := uint64(c - '0')
		if d > 9 {
			return 0, false
		}
		v = v*10 + d
	}
	return v, true
}

// eightDigits reads eight digits at once, the first in the lowest byte: pairs,
// then fours, then all are put together side by side.
func eightDigits(w uint64) (uint64, bool) {
	w ^= '0' * ones
	if (w|(w+0x76*ones))&highs != 0 {
		return 0, false
	}
	w = w*10 + w>>8
	w = (w&0x000000ff000000ff*(100+1_000_000<<32) + w>>16&0x000000ff000000ff*(1+10_000<<32)) >> 32
	return w, true
}

// momentOfText reads an RFC 3339 date and time: T and Z in either case, a
// fraction of any length (cut off behind the microseconds), and a leap second
// where one can be, which Unix time counts as the next day's first.
func momentOfText(s []byte) (messages.Micros, bool) {
	const shape = len("2006-01-02T15:04:05")
	if len(s) <= shape || s[4] != '-' || s[7] != '-' || s[10]|0x20 != 't' || s[13] != ':' || s[16] != ':' {
		return 0, false
	}
	century, year, month, day := twoDigits(s), twoDigits(s[2:]), twoDigits(s[5:]), twoDigits(s[8:])
	hour, minute, second := twoDigits(s[11:]), twoDigits(s[14:]), twoDigits(s[17:])
	if century > 99 || year > 99 || month < 1 || month > 12 || hour > 23 || minute > 59 || second > 60 {
		return 0, false
	}
	year += 100 * century
	if day < 1 || day > daysIn(year, month) {
		return 0, false
	}
	s = s[shape:]
	micros, n := fraction(s)
	offset, ok := zone(s[n:])
	if !ok {
		return 0, false
	}
	seconds := int64(daysSince1970(year, month, day))*86_400 + int64(hour*3_600+minute*60+second) - offset
	if second == 60 && seconds%86_400 != 0 {
		return 0, false
	}
	return messages.Micros(seconds)*messages.Second + messages.Micros(micros), true
}

// twoDigits reads two digits; anything else is above 99.
func twoDigits(s []byte) int {
	a, b := s[0]-'0', s[1]-'0'
	if a > 9 || b > 9 {
		return 1 << 20
	}
	return int(a)*10 + int(b)
}

// fraction reads ".123…" as microseconds and says how long it is.
func fraction(s []byte) (micros, length int) {
	if len(s) == 0 || s[0] != '.' {
		return 0, 0
	}
	i, unit := 1, 100_000
	for ; i < len(s) && s[i]-'0' <= 9; i++ {
		micros += int(s[i]-'0') * unit
		unit /= 10
	}
	if i == 1 {
		return 0, 0 // a point without digits; no zone begins with it
	}
	return micros, i
}

// zone reads "Z" or "+05:30" as seconds east of UTC; nothing may follow.
func zone(s []byte) (seconds int64, ok bool) {
	switch {
	case len(s) == 1 && s[0]|0x20 == 'z':
		return 0, true
	case len(s) != 6 || s[3] != ':' || s[0] != '+' && s[0] != '-':
		return 0, false
	}
	hour, minute := twoDigits(s[1:]), twoDigits(s[4:])
	if hour > 23 || minute > 59 {
		return 0, false
	}
	seconds = int64(hour*3_600 + minute*60)
	if s[0] == '-' {
		seconds = -seconds
	}
	return seconds, true
}

func daysIn(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// daysSince1970 counts days of the Gregorian calendar, with years that begin
// in March so that the leap day is the last one, from 400 years before year 0
// so that all divisions are of positive numbers.
func daysSince1970(year, month, day int) int {
	year += 400
	if month <= 2 {
		year--
		month += 12
	}
	return 365*year + year/4 - year/100 + year/400 + (153*(month-3)+2)/5 + day - 1 - 719_468 - 146_097
}
