// Calls a server with turbopuffer's client for Java: java Calls URL. Prints "ok" at the end.

import com.turbopuffer.client.TurbopufferClient;
import com.turbopuffer.client.okhttp.TurbopufferOkHttpClient;
import com.turbopuffer.core.JsonValue;
import com.turbopuffer.errors.BadRequestException;
import com.turbopuffer.errors.NotFoundException;
import com.turbopuffer.models.ClientNamespacesParams;
import com.turbopuffer.models.namespaces.AttributeSchemaConfig;
import com.turbopuffer.models.namespaces.Columns;
import com.turbopuffer.models.namespaces.DistanceMetric;
import com.turbopuffer.models.namespaces.Filter;
import com.turbopuffer.models.namespaces.NamespaceMultiQueryParams;
import com.turbopuffer.models.namespaces.NamespaceQueryParams;
import com.turbopuffer.models.namespaces.NamespaceRecallParams;
import com.turbopuffer.models.namespaces.NamespaceUpdateSchemaParams;
import com.turbopuffer.models.namespaces.NamespaceWriteParams;
import com.turbopuffer.models.namespaces.Query;
import com.turbopuffer.models.namespaces.RankBy;
import com.turbopuffer.models.namespaces.RankByAttributeOrder;
import com.turbopuffer.models.namespaces.Row;
import com.turbopuffer.models.namespaces.Schema;
import com.turbopuffer.services.blocking.NamespaceService;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;

public class Calls {
    private static final String NAME = "java-client";

    private static void check(boolean good, String what) {
        if (!good) throw new AssertionError(what);
    }

    private static void equal(Object have, Object want) {
        check(String.valueOf(have).equals(String.valueOf(want)), have + " is not " + want);
    }

    private static List<JsonValue> column(List<Row> rows, String name) {
        return rows.stream().map(row -> row.get(name)).collect(Collectors.toList());
    }

    private static void write(NamespaceService films) {
        var schema = Schema.builder()
                .put("seen", AttributeSchemaConfig.builder().type("datetime").build())
                .put("title", AttributeSchemaConfig.builder().type("string").filterable(true).build())
                .build();
        var written = films.write(NamespaceWriteParams.builder()
                .upsertRows(List.of(
                        Row.builder().put("id", 1).put("vector", List.of(1.0, 0.0)).put("title", "Night train").put("year", 1959)
                                .put("tags", List.of("rail", "thriller")).put("seen", "1970-01-01T00:00:00Z").build(),
                        Row.builder().put("id", 2).put("vector", List.of(0.0, 1.0)).put("title", "Cats at sea").put("year", 2016)
                                .put("good", true).build(),
                        Row.builder().put("id", 3).put("vector", List.of(1.0, 1.0)).put("title", "Harbour").put("year", 1996).build()))
                .schema(schema)
                .distanceMetric(DistanceMetric.COSINE_DISTANCE)
                .build());
        written.validate();
        equal(written.rowsAffected(), 3);
        var columns = films.write(NamespaceWriteParams.builder()
                .upsertColumns(Columns.builder().put("id", List.of(4, 5)).put("vector", List.of(List.of(2.0, 1.0), List.of(1.0, 2.0)))
                        .put("year", List.of(2001, 2002)).build())
                .build());
        equal(columns.rowsUpserted().get(), 2);
    }

    private static void query(NamespaceService films) {
        var near = films.query(NamespaceQueryParams.builder()
                .rankBy(RankBy.vector("vector", List.of(1f, 0f)))
                .topK(2)
                .filters(Filter.and(Filter.lt("year", 2000), Filter.gt("title", "A")))
                .includeAttributes(true)
                .build());
        near.validate();
        equal(column(near.rows().get(), "id"), List.of(1, 3));
        equal(near.rows().get().get(0).get("vector"), List.of(1, 0));
        var ordered = films.query(NamespaceQueryParams.builder()
                .rankBy(RankBy.attribute("year", RankByAttributeOrder.DESC))
                .topK(3)
                .includeAttributes("year")
                .build());
        equal(column(ordered.rows().get(), "year"), List.of(2016, 2002, 2001));
        var many = films.multiQuery(NamespaceMultiQueryParams.builder()
                .addQuery(Query.builder().rankBy(RankBy.vector("vector", List.of(0f, 1f))).topK(1).build())
                .addQuery(Query.builder().rankBy(RankBy.attribute("id", RankByAttributeOrder.ASC)).topK(2)
                        .filters(Filter.contains("tags", "rail")).build())
                .build());
        many.validate();
        equal(column(many.results().get(0).rows().get(), "id"), List.of(2));
        equal(column(many.results().get(1).rows().get(), "id"), List.of(1));
        equal(films.recall(NamespaceRecallParams.builder().num(3).topK(2).build()).avgRecall(), 1.0);
    }

    private static void change(NamespaceService films) {
        var patched = films.write(NamespaceWriteParams.builder()
                .patchRows(List.of(Row.builder().put("id", 2).put("year", 2017).put("good", null).build()))
                .deletes(List.of(5))
                .build());
        equal(patched.rowsPatched().get(), 1);
        equal(patched.rowsDeleted().get(), 1);
        var skipped = films.write(NamespaceWriteParams.builder()
                .upsertRows(List.of(Row.builder().put("id", 1).put("vector", List.of(0.0, 1.0)).build()))
                .upsertCondition(Filter.lt("year", 1000))
                .build());
        equal(skipped.rowsAffected(), 0);
        var rows = films.query(NamespaceQueryParams.builder()
                .rankBy(RankBy.attribute("id", RankByAttributeOrder.ASC))
                .topK(10)
                .includeAttributes("year", "good")
                .build()).rows().get();
        equal(column(rows, "year"), List.of(1959, 2017, 1996, 2001));
        check(!rows.get(1).containsKey("good"), "a cleared attribute is there");
    }

    private static void describe(TurbopufferClient client, NamespaceService films) {
        films.updateSchema(NamespaceUpdateSchemaParams.builder()
                .schema(Schema.builder()
                        .put("title", AttributeSchemaConfig.builder().type("string").filterable(false).build())
                        .build())
                .build());
        check(films.schema().containsKey("seen"), "the schema lacks \"seen\"");
        var facts = films.metadata();
        equal(facts.approxRowCount(), 4);
        check(facts.createdAt().isBefore(OffsetDateTime.now()), "created_at");
        films.hintCacheWarm().validate();
        var names = new ArrayList<String>();
        client.namespaces(ClientNamespacesParams.builder().prefix(NAME).pageSize(1).build()).autoPager()
                .forEach(found -> names.add(found.id()));
        equal(names, List.of(NAME));
    }

    private static void fail(NamespaceService films) {
        try {
            films.write(NamespaceWriteParams.builder()
                    .upsertRows(List.of(Row.builder().put("id", 1).put("vector", List.of(1.0, 2.0, 3.0)).build()))
                    .build());
            check(false, "a vector of other dimensions was taken");
        } catch (BadRequestException expected) {
            check(expected.statusCode() == 400, "status");
        }
        films.deleteAll().validate();
        try {
            films.metadata();
            check(false, "a deleted namespace was found");
        } catch (NotFoundException expected) {
            check(expected.statusCode() == 404, "status");
        }
    }

    public static void main(String[] arguments) {
        var client = TurbopufferOkHttpClient.builder().baseUrl(arguments[0]).apiKey("none").maxRetries(0).build();
        var films = client.namespace(NAME);
        write(films);
        query(films);
        change(films);
        describe(client, films);
        fail(films);
        System.out.println("ok");
        System.exit(0);
    }
}
