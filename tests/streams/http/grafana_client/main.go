// Asks questions as Grafana's ClickHouse data source does: through clickhouse-go, over HTTP.
//
// Reads statements from stdin, separated by NUL, and prints a line of JSON for each: columns with
// their types, and how many rows there were, or the error.
package main

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
)

type answer struct {
	Columns []string `json:"columns"`
	Types   []string `json:"types"`
	Rows    int      `json:"rows"`
	Error   string   `json:"error,omitempty"`
}

func main() {
	connection := clickhouse.OpenDB(&clickhouse.Options{
		Protocol: clickhouse.HTTP,
		Addr:     []string{os.Args[1]},
		Auth:     clickhouse.Auth{Database: os.Args[2], Username: "default"},
		Settings: clickhouse.Settings{"max_execution_time": 60},
		Compression: &clickhouse.Compression{
			Method: clickhouse.CompressionGZIP,
		},
	})
	if err := connection.Ping(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	input, _ := io.ReadAll(os.Stdin)
	for _, statement := range strings.Split(string(input), "\x00") {
		found := answer{}
		if err := ask(connection, statement, &found); err != nil {
			found.Error = err.Error()
		}
		line, _ := json.Marshal(found)
		fmt.Println(string(line))
	}
}

func ask(connection *sql.DB, statement string, found *answer) error {
	rows, err := connection.Query(statement)
	if err != nil {
		return err
	}
	defer rows.Close()
	var places []any
	columns, err := rows.ColumnTypes()
	if err != nil {
		return err
	}
	for _, column := range columns {
		found.Columns = append(found.Columns, column.Name())
		found.Types = append(found.Types, column.DatabaseTypeName())
		places = append(places, reflect.New(column.ScanType()).Interface())
	}
	for rows.Next() {
		if err := rows.Scan(places...); err != nil {
			return err
		}
		found.Rows++
	}
	return rows.Err()
}
