package settings

import (
	"errors"
	"net/url"
	"strings"
)

// CheckStore says what is wrong with where snapshots are to be kept. Whether a
// bucket's name is possible is the store's to say.
func CheckStore(v string) error {
	kind, place, _ := strings.Cut(v, ":")
	switch {
	case kind == "dir" && strings.TrimSpace(place) != "":
		return nil
	case kind == "s3" && strings.HasPrefix(place, "//") && strings.Trim(place, "/ ") != "":
		return nil
	}
	return errors.New("want dir:PATH or s3://BUCKET/PREFIX")
}

// CheckEndpoint says what is wrong with the URL of an S3 server.
func CheckEndpoint(v string) error {
	u, err := url.Parse(v)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return errors.New("want http://HOST:PORT or https://HOST")
	case u.User != nil:
		return errors.New("want no user in it; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
	}
	return nil
}
