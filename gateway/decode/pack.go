package decode

type packScanner struct{ arena []byte }

func (b *Builder) Msgpack(body []byte) error { return ErrEmpty }
