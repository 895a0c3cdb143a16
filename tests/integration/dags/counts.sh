set -e
files=(*)
echo ${#files[@]} of ${files[0]%#}
