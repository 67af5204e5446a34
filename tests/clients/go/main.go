// Calls a server with turbopuffer's client for Go: go-client URL. Prints "ok" at the end.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"time"

	"github.com/turbopuffer/turbopuffer-go/v2"
	"github.com/turbopuffer/turbopuffer-go/v2/option"
	"github.com/turbopuffer/turbopuffer-go/v2/packages/param"
)

const name = "go-client"

var ctx = context.Background()

func check(good bool, what string, values ...any) {
	if !good {
		fmt.Fprintln(os.Stderr, append([]any{what}, values...)...)
		os.Exit(1)
	}
}

func must[T any](value T, err error) T {
	check(err == nil, "failed:", err)
	return value
}

// equal compares printed forms, because the client has its own type for numbers.
func equal(have, want any, what string) {
	check(fmt.Sprint(have) == fmt.Sprint(want), what, have, "is not", want)
}

func fails(err error, status int) {
	var failure *turbopuffer.Error
	check(errors.As(err, &failure) && failure.StatusCode == status, "expected status", status, err)
}

func column(rows []turbopuffer.Row, name string) []any {
	values := []any{}
	for _, row := range rows {
		values = append(values, row[name])
	}
	return values
}

func write(films turbopuffer.Namespace) {
	written := must(films.Write(ctx, turbopuffer.NamespaceWriteParams{
		UpsertRows: []turbopuffer.RowParam{
			{"id": 1, "vector": []float32{1, 0}, "title": "Night train", "year": 1959, "tags": []string{"rail", "thriller"}, "seen": time.Unix(0, 0).UTC()},
			{"id": 2, "vector": []float32{0, 1}, "title": "Cats at sea", "year": 2016, "good": true},
			{"id": 3, "vector": []float32{1, 1}, "title": "Harbour", "year": 1996},
		},
		Schema: map[string]turbopuffer.AttributeSchemaConfigParam{
			"title": {Type: turbopuffer.AttributeType("string"), Filterable: turbopuffer.Bool(true)},
			"seen":  {Type: turbopuffer.AttributeType("datetime")},
		},
		DistanceMetric: turbopuffer.DistanceMetricCosineDistance,
	}))
	equal(written.RowsAffected, 3, "rows affected")
	columns := must(films.Write(ctx, turbopuffer.NamespaceWriteParams{UpsertColumns: turbopuffer.ColumnsParam{
		"id": {4, 5}, "vector": {[]float32{2, 1}, []float32{1, 2}}, "title": {"Dogs", nil}, "year": {2001, 2002}}}))
	equal(columns.RowsUpserted, 2, "rows of columns")
}

func query(films turbopuffer.Namespace) {
	near := must(films.Query(ctx, turbopuffer.NamespaceQueryParams{
		RankBy:            turbopuffer.NewRankByAnn("vector", []float32{1, 0}),
		TopK:              turbopuffer.Int(2),
		IncludeAttributes: turbopuffer.IncludeAttributesParam{Bool: turbopuffer.Bool(true)},
		Filters: turbopuffer.NewFilterAnd([]turbopuffer.Filter{
			turbopuffer.NewFilterLt("year", 2000), turbopuffer.NewFilterNotEq("title", nil)}),
	}))
	equal(column(near.Rows, "id"), []int{1, 3}, "nearest")
	equal(near.Rows[0]["vector"], []int{1, 0}, "vector")
	equal(near.Rows[0]["title"], "Night train", "title")
	check(near.Performance.ServerTotalMs >= 1, "server_total_ms")
	ordered := must(films.Query(ctx, turbopuffer.NamespaceQueryParams{
		RankBy: turbopuffer.NewRankByAttribute("year", "desc"), TopK: turbopuffer.Int(3),
		IncludeAttributes: turbopuffer.IncludeAttributesParam{StringArray: []string{"year"}}}))
	equal(column(ordered.Rows, "year"), []int{2016, 2002, 2001}, "order")
	many := must(films.MultiQuery(ctx, turbopuffer.NamespaceMultiQueryParams{Queries: []turbopuffer.NamespaceMultiQueryParamsQuery{
		{RankBy: turbopuffer.NewRankByAnn("vector", []float32{0, 1}), TopK: turbopuffer.Int(1)},
		{RankBy: turbopuffer.NewRankByAttribute("id", "asc"), TopK: turbopuffer.Int(2), Filters: turbopuffer.NewFilterContains("tags", "rail")}}}))
	equal([]any{column(many.Results[0].Rows, "id"), column(many.Results[1].Rows, "id")}, []any{[]int{2}, []int{1}}, "several queries")
	recall := must(films.Recall(ctx, turbopuffer.NamespaceRecallParams{Num: turbopuffer.Int(3), TopK: turbopuffer.Int(2)}))
	equal(recall.AvgRecall, 1, "recall")
}

func change(films turbopuffer.Namespace) {
	patched := must(films.Write(ctx, turbopuffer.NamespaceWriteParams{
		PatchRows: []turbopuffer.RowParam{{"id": 2, "year": 2017, "good": nil}}, Deletes: []any{5}, ReturnAffectedIDs: turbopuffer.Bool(true)}))
	equal([]any{patched.RowsPatched, patched.RowsDeleted}, []int{1, 1}, "patched and deleted")
	skipped := must(films.Write(ctx, turbopuffer.NamespaceWriteParams{
		UpsertRows:      []turbopuffer.RowParam{{"id": 1, "vector": []float32{0, 1}, "title": "Other"}},
		UpsertCondition: turbopuffer.NewFilterEq("id", nil)}))
	equal(skipped.RowsAffected, 0, "skipped")
	rows := must(films.Query(ctx, turbopuffer.NamespaceQueryParams{
		RankBy: turbopuffer.NewRankByAttribute("id", "asc"), TopK: turbopuffer.Int(10),
		IncludeAttributes: turbopuffer.IncludeAttributesParam{StringArray: []string{"year", "good"}}})).Rows
	equal(column(rows, "year"), []int{1959, 2017, 1996, 2001}, "years")
	_, has := rows[1]["good"]
	check(!has, "a cleared attribute is there")
}

func describe(client turbopuffer.Client, films turbopuffer.Namespace) {
	must(films.UpdateSchema(ctx, turbopuffer.NamespaceUpdateSchemaParams{Schema: map[string]turbopuffer.AttributeSchemaConfigParam{
		"title": {Type: turbopuffer.AttributeType("string"), Filterable: param.NewOpt(false)}}}))
	schema := must(films.Schema(ctx, turbopuffer.NamespaceSchemaParams{}))
	equal((*schema)["seen"].Type, "datetime", "type")
	equal((*schema)["title"].Filterable, false, "filterable")
	facts := must(films.Metadata(ctx, turbopuffer.NamespaceMetadataParams{}))
	equal(facts.ApproxRowCount, 4, "rows")
	check(!facts.CreatedAt.IsZero() && facts.CreatedAt.Before(time.Now()), "created_at", facts.CreatedAt)
	must(films.HintCacheWarm(ctx, turbopuffer.NamespaceHintCacheWarmParams{}))
	names := []string{}
	pages := client.NamespacesAutoPaging(ctx, turbopuffer.NamespacesParams{Prefix: turbopuffer.String(name), PageSize: turbopuffer.Int(1)})
	for pages.Next() {
		names = append(names, pages.Current().ID)
	}
	check(pages.Err() == nil && reflect.DeepEqual(names, []string{name}), "names", names, pages.Err())
}

func fail(films turbopuffer.Namespace) {
	_, err := films.Write(ctx, turbopuffer.NamespaceWriteParams{UpsertRows: []turbopuffer.RowParam{{"id": 1, "vector": []float32{1, 2, 3}}}})
	fails(err, 400)
	must(films.DeleteAll(ctx, turbopuffer.NamespaceDeleteAllParams{}))
	_, err = films.Query(ctx, turbopuffer.NamespaceQueryParams{RankBy: turbopuffer.NewRankByAttribute("id", "asc"), TopK: turbopuffer.Int(1)})
	fails(err, 404)
}

func main() {
	for _, compressed := range []bool{false, true} {
		options := []option.RequestOption{option.WithBaseURL(os.Args[1]), option.WithAPIKey("none"), option.WithMaxRetries(0)}
		if compressed {
			options = append(options, option.WithCompression(true))
		}
		client := turbopuffer.NewClient(options...)
		films := client.Namespace(name)
		write(films)
		query(films)
		change(films)
		describe(client, films)
		fail(films)
	}
	fmt.Println("ok")
}
