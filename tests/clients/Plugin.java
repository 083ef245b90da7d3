import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.Base64;

/** A plug-in on the JDK's own client with its defaults, which offer an upgrade to HTTP/2 with each request. */
public class Plugin {
    static final HttpClient CLIENT = HttpClient.newHttpClient();

    static HttpResponse<String> post(String url, String json) throws Exception {
        String login = System.getenv("OVIRT_USERNAME") + ":" + System.getenv("OVIRT_PASSWORD");
        String basic = Base64.getEncoder().encodeToString(login.getBytes("UTF-8"));
        HttpRequest request = HttpRequest.newBuilder(URI.create(url))
            .header("Authorization", "Basic " + basic)
            .header("Content-Type", "application/json")
            .header("Accept", "application/json")
            .POST(HttpRequest.BodyPublishers.ofString(json))
            .build();
        return CLIENT.send(request, HttpResponse.BodyHandlers.ofString());
    }

    public static void main(String[] arguments) throws Exception {
        HttpResponse<String> added = post(arguments[0] + "/jobs", "{\"description\": \"Java: übertragen\"}");
        String job = added.headers().firstValue("Location").orElseThrow();
        HttpResponse<String> step = post(job + "/steps", "{\"description\": \"Copy\", \"type\": \"EXECUTING\"}");
        HttpResponse<String> ended = post(job + "/end", "{\"succeeded\": false, \"reason\": \"zu groß\"}");
        System.out.println(added.statusCode() + " " + step.statusCode() + " " + ended.statusCode());
        System.out.println(job);
    }
}
