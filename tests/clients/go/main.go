// Log in with each URL of a JSON list on standard input, with pgx and lib/pq; write the results as JSON.
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

func attempt(driver string, url string) (outcome result) {
	database, err := sql.Open(driver, url)
	if err == nil {
		defer database.Close()
		row := database.QueryRow("SELECT session_user, current_database()")
		err = row.Scan(&outcome.Who, &outcome.Database)
	}
	if err != nil {
		outcome = result{Error: err.Error()}
	}
	return outcome
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
