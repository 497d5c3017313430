package api

// ProblemType is the media type of errors (RFC 9457).
const ProblemType = "application/problem+json"

// Problem is what every error answer holds. Further members depend on the
// error: parameter, value and allowed for a wrong parameter, errors for a
// refused batch.
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"` // what to do
}
