package gateway

import (
	"fmt"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/crestdb/crest/messages"
)

// checkTopic refuses what can be no topic, by the rules events are held to.
func checkTopic(parameter, topic string) error {
	if topic == "" {
		return badParameter(parameter, topic, "a topic of 1 to 512 bytes")
	}
	return checkText(parameter, topic, messages.MaxTopicBytes)
}

// checkName refuses what can be no category or region; "" means any.
func checkName(parameter, name string) error {
	return checkText(parameter, name, messages.MaxNameBytes)
}

func checkText(parameter, text string, most int) error {
	switch {
	case len(text) > most:
		return badParameter(parameter, text, fmt.Sprintf("at most %d bytes, not %d", most, len(text)))
	case !utf8.ValidString(text):
		return &refusal{
			status: http.StatusBadRequest,
			title:  "Bad parameter",
			detail: fmt.Sprintf("%s=%s is not UTF-8; percent-encode its UTF-8 bytes.", parameter, quote(text)),
			extra:  map[string]any{"parameter": parameter},
		}
	}
	if i := strings.IndexFunc(text, unicode.IsControl); i >= 0 {
		return badParameter(parameter, text, "no control character (there is one at byte "+fmt.Sprint(i)+")")
	}
	return nil
}
