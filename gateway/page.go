package gateway

import (
	_ "embed"
	"html/template"
	"net/http"
	"strings"
)

//go:embed openapi.yaml
var openAPIText []byte

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// page answers GET /: where to go from here, for people.
func (s *Server) page(w http.ResponseWriter, r *http.Request) error {
	if err := noParams(r); err != nil {
		return err
	}
	var b strings.Builder
	if err := pageTemplate.Execute(&b, s.cfg.Node); err != nil {
		return err
	}
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	send(w, []string{"text/html; charset=utf-8"}, []byte(b.String()))
	return nil
}

// openAPI answers GET /openapi.yaml.
func (s *Server) openAPI(w http.ResponseWriter, r *http.Request) error {
	if err := noParams(r); err != nil {
		return err
	}
	send(w, []string{"application/yaml"}, openAPIText)
	return nil
}
