package gateway

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// handler answers a request or returns the error that fail turns into one.
type handler func(w http.ResponseWriter, r *http.Request) error

// route is one address. Its pattern is the path in openapi.yaml; {topic} in it
// stands for one percent-encoded segment.
type route struct {
	pattern string
	get     handler // also HEAD
	post    handler
	// query: counts as a question in the query rate.
	query bool
}

// topicKey is where a request's topic is kept once it is cut from the path.
const topicKey = "topic"

const topicsPrefix = "/api/v1/topics/"

// router finds the route of a request. net/http's ServeMux would redirect a
// topic ".." and answer 404 for a %2F in one, so paths are cut by hand, from
// the path as it was sent.
type router struct {
	exact  map[string]*route // by path
	topics map[string]*route // by what follows topicsPrefix and the topic
}

func newRouter(routes []route) *router {
	rt := &router{exact: map[string]*route{}, topics: map[string]*route{}}
	for i := range routes {
		r := &routes[i]
		if action, ok := strings.CutPrefix(r.pattern, topicsPrefix+"{topic}/"); ok {
			rt.topics[action] = r
		} else {
			rt.exact[r.pattern] = r
		}
	}
	return rt
}

// find is the route of a request; for a topic route the topic is left in the
// request's path value. An error is a refusal.
func (rt *router) find(r *http.Request) (*route, error) {
	path := r.URL.RawPath // as sent; empty if it needed no decoding beyond the usual
	if path == "" {
		path = r.URL.EscapedPath()
	}
	if found := rt.exact[path]; found != nil {
		return found, nil
	}
	if rest, ok := strings.CutPrefix(path, topicsPrefix); ok {
		return rt.findTopic(r, rest)
	}
	return nil, notFound("Nothing is served at this path; /openapi.yaml lists what is.")
}

func (rt *router) findTopic(r *http.Request, rest string) (*route, error) {
	i := strings.LastIndexByte(rest, '/')
	if i < 0 {
		return nil, notFound("A topic's path goes on with /count, /history or /rank.")
	}
	found := rt.topics[rest[i+1:]]
	if found == nil {
		return nil, notFound("A topic's path ends with /count, /history or /rank.")
	}
	if strings.Contains(rest[:i], "/") {
		return nil, notFound("Write a / in a topic as %%2F, or use /api/v1/%s?topic=.", rest[i+1:])
	}
	topic, err := url.PathUnescape(rest[:i])
	if err != nil {
		return nil, badRequest("The topic in the path cannot be read (%v); percent-encode it.", err)
	}
	if err := checkTopic(topicKey, topic); err != nil {
		return nil, err
	}
	r.SetPathValue(topicKey, topic)
	return found, nil
}

func notFound(format string, args ...any) error {
	return &refusal{status: http.StatusNotFound, title: "Not found", detail: fmt.Sprintf(format, args...)}
}

// handlerFor is the route's handler for a method.
func (rt *route) handlerFor(method string) handler {
	switch method {
	case http.MethodGet, http.MethodHead:
		return rt.get
	case http.MethodPost:
		return rt.post
	}
	return nil
}

// allowed are the methods the route takes, as the Allow header wants them.
func (rt *route) allowed() string {
	var methods []string
	if rt.get != nil {
		methods = append(methods, http.MethodGet, http.MethodHead)
	}
	if rt.post != nil {
		methods = append(methods, http.MethodPost)
	}
	slices.Sort(methods)
	return strings.Join(methods, ", ")
}
