// Says hello, lists its directory, and idles until it is stopped: a Go program as a WASI module.
package main

import (
	"fmt"
	"os"
	"strings"
	"time"
)

func main() {
	name := os.Getenv("NAME")
	if name == "" {
		name = "world"
	}
	fmt.Printf("hello, %s\n", name)
	entries, err := os.ReadDir("/")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	fmt.Println("files:", strings.Join(names, " "))
	if len(os.Args) > 1 && os.Args[1] == "once" {
		return
	}
	for {
		time.Sleep(time.Hour)
	}
}
