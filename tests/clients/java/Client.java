import java.net.InetAddress;
import java.net.URLEncoder;
import java.net.UnknownHostException;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;

/**
 * Logs in with each login on standard input, one field per line: host, port, dbname, username, password.
 * Writes one line for each login: "who TAB database", or "error TAB message". The optional first argument is
 * the file of the certificate authorities.
 */
public final class Client {
    public static void main(String[] arguments) throws Exception {
        List<String> fields =
            new ArrayList<>(new String(System.in.readAllBytes(), StandardCharsets.UTF_8).lines().toList());
        StringBuilder results = new StringBuilder();
        for (int at = 0; at + 5 <= fields.size(); at += 5) {
            results.append(attempt(fields.subList(at, at + 5), arguments)).append('\n');
        }
        System.out.write(results.toString().getBytes(StandardCharsets.UTF_8));
        System.out.flush();
    }

    private static String attempt(List<String> parts, String[] arguments) {
        String host = parts.get(0);
        if (host.contains(":")) {
            try {
                // the driver only compares this long form of an IPv6 address with the certificate's
                host = "[" + InetAddress.getByName(host).getHostAddress() + "]";
            } catch (UnknownHostException error) {
                return "error\t" + error.getMessage();
            }
        }
        Properties settings = new Properties();
        settings.setProperty("user", parts.get(3));
        settings.setProperty("password", parts.get(4));
        String database = URLEncoder.encode(parts.get(2), StandardCharsets.UTF_8).replace("+", "%20");
        String url = "jdbc:postgresql://" + host + ":" + parts.get(1) + "/" + database + "?sslmode=verify-full";
        if (arguments.length > 0) {
            url += "&sslrootcert=" + arguments[0];
        }
        try (Connection connection = DriverManager.getConnection(url, settings);
                ResultSet row = connection.createStatement()
                    .executeQuery("SELECT session_user, current_database()")) {
            row.next();
            return row.getString(1) + "\t" + row.getString(2);
        } catch (SQLException error) {
            StringBuilder text = new StringBuilder("error\t");
            for (Throwable cause = error; cause != null; cause = cause.getCause()) {
                text.append(cause.getMessage()).append(". ");
            }
            return text.toString().replace('\n', ' ');
        }
    }
}
