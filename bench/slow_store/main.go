// Serves a folder as a bucket of S3, for reading alone, and answers each request late, like a bucket in the same region.
//
//	slow_store FOLDER BUCKET DELAY_MS
//
// It prints its address. Objects are read by GET and HEAD with ranges and conditions, and listed by version 2 of S3's listing. It
// does not check signatures. GET /_counts answers what clients asked since DELETE /_counts, as JSON: the bytes of all bodies, and for
// each request its object, its range and when it came and was answered, in milliseconds.
package main

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io/fs"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"
)

type request struct {
	Target string  `json:"target"`
	Range  string  `json:"range"`
	Begun  float64 `json:"begun"`
	Done   float64 `json:"done"`
}

type store struct {
	folder, bucket string
	delay          time.Duration
	start          time.Time

	mutex    sync.Mutex // guards what follows
	bytes    int64
	requests []*request
}

// A response that counts the bytes of its body.
type counted struct {
	http.ResponseWriter
	bytes int64
}

func (c *counted) Write(data []byte) (int, error) {
	n, err := c.ResponseWriter.Write(data)
	c.bytes += int64(n)
	return n, err
}

type object struct {
	Key, LastModified, ETag string
	Size                    int64
}

type prefix struct{ Prefix string }

type listing struct {
	XMLName        xml.Name `xml:"ListBucketResult"`
	Name, Prefix   string
	KeyCount       int
	IsTruncated    bool
	Contents       []object
	CommonPrefixes []prefix
}

func etag(info fs.FileInfo) string {
	return fmt.Sprintf("\"%x-%x\"", info.ModTime().UnixNano(), info.Size())
}

func (s *store) list(w http.ResponseWriter, r *http.Request) {
	asked := r.URL.Query()
	begin, delimiter := asked.Get("prefix"), asked.Get("delimiter")
	found, common := listing{Name: s.bucket, Prefix: begin}, map[string]bool{}
	filepath.WalkDir(s.folder, func(path string, entry fs.DirEntry, err error) error {
		key, _ := filepath.Rel(s.folder, path)
		if err != nil || entry.IsDir() || !strings.HasPrefix(key, begin) {
			return err
		}
		if end := strings.Index(key[len(begin):], delimiter); delimiter != "" && end >= 0 {
			common[key[:len(begin)+end+len(delimiter)]] = true
			return nil
		}
		info, err := entry.Info()
		if err == nil {
			found.Contents = append(found.Contents, object{key, info.ModTime().UTC().Format(time.RFC3339), etag(info), info.Size()})
		}
		return err
	})
	for name := range common {
		found.CommonPrefixes = append(found.CommonPrefixes, prefix{name})
	}
	sort.Slice(found.CommonPrefixes, func(i, j int) bool { return found.CommonPrefixes[i].Prefix < found.CommonPrefixes[j].Prefix })
	found.KeyCount = len(found.Contents) + len(found.CommonPrefixes)
	w.Header().Set("Content-Type", "application/xml")
	text, _ := xml.Marshal(found)
	w.Write(append([]byte(xml.Header), text...))
}

func (s *store) get(w http.ResponseWriter, r *http.Request, key string) {
	file, err := os.Open(filepath.Join(s.folder, filepath.FromSlash(filepath.Clean("/"+key))))
	if err == nil {
		defer file.Close()
		if info, failed := file.Stat(); failed == nil && !info.IsDir() {
			w.Header().Set("ETag", etag(info))
			w.Header().Set("Content-Type", "application/octet-stream")
			http.ServeContent(w, r, "", info.ModTime(), file)
			return
		}
	}
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(http.StatusNotFound)
	fmt.Fprint(w, xml.Header+"<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>")
}

func (s *store) counts(w http.ResponseWriter, r *http.Request) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if r.Method == http.MethodDelete {
		s.bytes, s.requests = 0, nil
		return
	}
	json.NewEncoder(w).Encode(map[string]any{"bytes": s.bytes, "requests": s.requests})
}

func (s *store) now() float64 {
	return float64(time.Since(s.start).Microseconds()) / 1e3
}

func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/_counts" {
		s.counts(w, r)
		return
	}
	noted := &request{Target: r.URL.Path, Range: r.Header.Get("Range"), Begun: s.now()}
	s.mutex.Lock()
	s.requests = append(s.requests, noted)
	s.mutex.Unlock()
	time.Sleep(s.delay)
	body := &counted{ResponseWriter: w}
	key, inside := strings.CutPrefix(r.URL.Path, "/"+s.bucket+"/")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		body.WriteHeader(http.StatusMethodNotAllowed)
	} else if !inside || key == "" {
		s.list(body, r)
	} else {
		s.get(body, r, key)
	}
	s.mutex.Lock()
	s.bytes += body.bytes
	noted.Done = s.now()
	s.mutex.Unlock()
}

func main() {
	if len(os.Args) != 4 {
		log.Fatal("usage: slow_store FOLDER BUCKET DELAY_MS")
	}
	delay, err := strconv.Atoi(os.Args[3])
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("http://" + listener.Addr().String())
	log.Fatal(http.Serve(listener, &store{folder: os.Args[1], bucket: os.Args[2], delay: time.Duration(delay) * time.Millisecond, start: time.Now()}))
}
