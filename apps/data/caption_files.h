// What the pictures of a folder show, in words: from FOLDER/metadata.jsonl (Hugging Face's
// imagefolder: an object a line with "file_name", from FOLDER, and "text"), or from a file of the
// picture's own name, picture.txt, whose first line counts (as kohya's trainers read it).
#pragma once

#include <string>
#include <vector>

namespace ebb::apps {

// One for each of `files`, paths below `folder`; empty for a picture without one. An Error names a
// line or a file that cannot be read, a line whose picture is not there, and a picture of which two
// captions say different things.
std::vector<std::string> read_captions(const std::string& folder,
                                       const std::vector<std::string>& files);

}  // namespace ebb::apps
