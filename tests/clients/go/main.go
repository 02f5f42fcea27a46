// Logs in with each URL of a JSON list on standard input; writes what came of each as JSON, for pgx and lib/pq.
package main

import (
	"database/sql"
	"encoding/json"
	"os"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "github.com/lib/pq"
)

type login struct {
	URL string `json:"url"`
}

type result struct {
	Who      string `json:"who,omitempty"`
	Database string `json:"database,omitempty"`
	Error    string `json:"error,omitempty"`
}

func attempt(driver string, url string) (found result) {
	database, err := sql.Open(driver, url)
	if err == nil {
		defer database.Close()
		row := database.QueryRow("SELECT session_user, current_database()")
		err = row.Scan(&found.Who, &found.Database)
	}
	if err != nil {
		found = result{Error: err.Error()}
	}
	return found
}

func main() {
	var logins []login
	if err := json.NewDecoder(os.Stdin).Decode(&logins); err != nil {
		panic(err)
	}
	results := map[string][]result{}
	for name, driver := range map[string]string{"pgx": "pgx", "lib/pq": "postgres"} {
		for _, one := range logins {
			results[name] = append(results[name], attempt(driver, one.URL))
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(results); err != nil {
		panic(err)
	}
}
