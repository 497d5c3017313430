package kafka

import (
	"context"
	_ "embed"
	"fmt"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
)

// pom names Kafka and its version.
//
//go:embed pom.xml
var pom []byte

// Install has Kafka's jars in a folder below dir, fetched unless they are there
// already, and returns it. It takes a minute or two the first time.
func Install(ctx context.Context, dir string) (libs string, err error) {
	if err := debian(ctx, "java", "openjdk-17-jre-headless"); err != nil {
		return "", err
	}
	libs = filepath.Join(dir, fmt.Sprintf("libs-%08x", crc32.ChecksumIEEE(pom)))
	if _, err := os.Stat(libs); err == nil {
		return libs, nil
	}
	if err := debian(ctx, "mvn", "maven"); err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("install kafka: %w", err)
	}
	fresh, err := os.MkdirTemp(dir, "new") // beside its place, so that it can be renamed
	if err != nil {
		return "", fmt.Errorf("install kafka: %w", err)
	}
	defer os.RemoveAll(fresh)
	if err := os.WriteFile(filepath.Join(fresh, "pom.xml"), pom, 0o644); err != nil {
		return "", fmt.Errorf("install kafka: %w", err)
	}
	jars := filepath.Join(fresh, "libs")
	mvn := exec.CommandContext(ctx, "mvn", "-q", "-B", "-f", filepath.Join(fresh, "pom.xml"),
		"dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory="+jars)
	if out, err := mvn.CombinedOutput(); err != nil {
		return "", fmt.Errorf("install kafka: mvn: %w\n%s", err, out)
	}
	if err := os.Rename(jars, libs); err != nil {
		return "", fmt.Errorf("install kafka: %w", err)
	}
	return libs, nil
}

// debian installs the package that a program is in, unless the program is there.
func debian(ctx context.Context, program, name string) error {
	if _, err := exec.LookPath(program); err == nil {
		return nil
	}
	for _, args := range [][]string{{"update", "-q"}, {"install", "-q", "-y", "--no-install-recommends", name}} {
		c := exec.CommandContext(ctx, "apt-get", args...)
		c.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if out, err := c.CombinedOutput(); err != nil {
			return fmt.Errorf("install %s: %w\n%s", name, err, out)
		}
	}
	if _, err := exec.LookPath(program); err != nil {
		return fmt.Errorf("install %s: %w", name, err)
	}
	return nil
}
