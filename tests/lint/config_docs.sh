#!/usr/bin/env bash
# config/README.md and .env.example say what the loader's table says (src/app/config_keys.c): every key
# and variable with its type, default and range, none that is not there.
# `tests/lint/config_docs.sh --write` writes the tables anew between their markers, and .env.example.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

table=src/app/config_keys.c

# MODE: files, variables, flags, later: a Markdown table. env: .env.example.
generate() {
    perl -0777 -e '
        my ($mode, $path) = @ARGV;
        open(my $in, "<", $path) or die; my $text = <$in>;
        my ($keys, $later) = $text =~ /ad_config_keys\[\] = \{(.*?)\n\};.*?ad_config_later\[\] = \{(.*?)\n\};/s;
        sub rows {
            my @rows;
            while ($_[0] =~ /\n    \{\n(.*?)\n    \},/sg) {
                my ($block, %r) = ($1);
                $r{$1} = $2 while $block =~ /\.(file|env|flag|def|choices)\s*=\s*"([^"]*)"/g;
                $r{$1} = $2 while $block =~ /\.(min|max|type|reload|secret|fatal)\s*=\s*([^,]+),/g;
                ($r{doc}) = $block =~ /\.doc\s*=\s*((?:"(?:[^"\\]|\\.)*"\s*)+)/;
                $r{doc} = join "", $r{doc} =~ /"((?:[^"\\]|\\.)*)"/g;
                for my $n (qw(min max)) {
                    next unless defined $r{$n};
                    $r{$n} =~ s/INT64_C\((\d+)\)/$1/; $r{$n} =~ s/\bDAY_MS\b/86400000/;
                    $r{$n} = eval $r{$n};
                }
                push @rows, \%r;
            }
            return @rows;
        }
        sub type {
            my $r = shift;
            my $t = lc $r->{type}; $t =~ s/ad_config_//;
            return "one of " . join(", ", map { "`$_`" } split / /, $r->{choices}) if $t eq "choice";
            return "$r->{min} to $r->{max}" if $t eq "int";
            return $r->{max} ? "$r->{min} to $r->{max} characters" : "text" if $t eq "string";
            return "`true`, `false`" if $t eq "bool";
            return "array of text";
        }
        sub default { my $r = shift; return defined $r->{def} ? "`$r->{def}`" : $r->{type} =~ /LIST/ ? "`[]`" : "unset" }
        my @keys = rows($keys);
        if ($mode eq "files") {
            print "| key | value | built in | reload | meaning |\n|---|---|---|---|---|\n";
            for (grep { $_->{file} } @keys) {
                my $more = $_->{env} ? " (variable `$_->{env}`" . ($_->{flag} ? ", flag `$_->{flag}`" : "") . ")" : "";
                printf "| `%s` | %s | %s | %s | %s%s |\n", $_->{file}, type($_), default($_), $_->{reload} ? "yes" : "", $_->{doc}, $more;
            }
        } elsif ($mode eq "variables") {
            print "| variable | value | default | reload | meaning |\n|---|---|---|---|---|\n";
            for (grep { $_->{env} && !$_->{file} } @keys) {
                my $more = ($_->{secret} ? " (secret)" : "") . ($_->{flag} ? " (flag `$_->{flag}`)" : "");
                printf "| `%s` | %s | %s | %s | %s%s |\n", $_->{env}, type($_), default($_), $_->{reload} ? "yes" : "", $_->{doc}, $more;
            }
        } elsif ($mode eq "flags") {
            print "| flag | meaning |\n|---|---|\n";
            printf "| `%s` | %s |\n", $_->{flag}, $_->{doc} for grep { $_->{flag} && !$_->{env} } @keys;
        } elsif ($mode eq "later") {
            print "| variable | when it is set now | what it will be |\n|---|---|---|\n";
            printf "| `%s` | %s | %s |\n", $_->{env}, $_->{fatal} eq "true" ? "error" : "warning", $_->{doc} for rows($later);
        } else {
            print "# Every variable that attiod reads, with its default. Any of them may be given as NAME_FILE instead,\n",
                  "# the path of a file that holds the value. Secrets belong here or there, never in config/*.json.\n";
            for (grep { $_->{env} } @keys) {
                my $doc = $_->{doc} . ($_->{secret} ? " (secret)" : "") . ".";
                my $line = "#"; print "\n";
                for my $word (split / /, $doc) {
                    if (length("$line $word") > 100) { print "$line\n"; $line = "#" }
                    $line .= " $word";
                }
                print "$line\n#$_->{env}=", $_->{def} // "", "\n";
            }
        }' "$1" "$table"
}

# The README with the tables made anew.
readme() {
    local line
    while IFS= read -r line; do
        if [ "${skip:-}" ] && [ "$line" != '<!-- end -->' ]; then
            continue
        fi
        skip=
        printf '%s\n' "$line"
        case $line in
        '<!-- table: '*' -->')
            line=${line#'<!-- table: '}
            generate "${line%' -->'}"
            skip=yes
            ;;
        esac
    done <config/README.md
}

if [ "${1:-}" = --write ]; then
    text=$(readme)
    printf '%s\n' "$text" >config/README.md
    generate env >.env.example
    exit
fi

failed=0
diff -u config/README.md <(readme) || failed=1
diff -u .env.example <(generate env) || failed=1
# A variable that some other source asks for would be one that no table shows.
if grep -rnE '\bgetenv\s*\(' src/base src/infra src/attio src/service src/api src/app; then
    echo "    read variables through the table in $table"
    failed=1
fi
if [ $failed -ne 0 ]; then
    echo "tests/lint/config_docs.sh --write puts the tables right"
fi
exit $failed
